import { closeSync, openSync, readSync } from 'node:fs'

const block = 512
/** What follows a header is read with it where it is short. */
const pageBytes = 8 * block
const zeros = Buffer.alloc(128 * block)
const [sizeStart, sizeEnd, typeAt] = [124, 136, 156]
/** Of regular files, and of what describes the next entry. */
const fileTypes: readonly number[] = [0, ...Buffer.from('07')]
const paxTypes: readonly number[] = [...Buffer.from('xg')]

/** The bytes of a tar with zeros in the place of what its files hold, which is not read. */
export function* readTarHeaders(path: string): Generator<Uint8Array, void, undefined> {
  const fd = openSync(path, 'r')
  try {
    const tar = new TarFile(fd)
    let paxSize: number | undefined
    for (let at = 0; ;) {
      const header = tar.read(at, block)
      yield header
      if (header.length < block || header[0] === 0) return
      const size = paxSize ?? parseSize(header)
      const [type = 0, padded] = [header[typeAt], Math.ceil(size / block) * block]
      const isFile = fileTypes.includes(type)
      const body = isFile ? undefined : tar.read(at + block, padded)
      if (body === undefined) yield* blanks(padded)
      else yield body
      paxSize = paxTypes.includes(type) ? findPaxSize(body ?? zeros) : undefined
      at += block + padded
    }
  } finally {
    closeSync(fd)
  }
}

class TarFile {
  readonly #fd: number
  #page = Buffer.alloc(0)
  #start = 0

  constructor(fd: number) {
    this.#fd = fd
  }

  /** Less at the end. */
  read(offset: number, length: number): Buffer {
    if (offset < this.#start || offset + length > this.#start + this.#page.length) {
      const page = Buffer.alloc(Math.max(length, pageBytes))
      this.#page = page.subarray(0, readSync(this.#fd, page, 0, page.length, offset))
      this.#start = offset
    }
    return this.#page.subarray(offset - this.#start, offset - this.#start + length)
  }
}

function* blanks(count: number): Generator<Uint8Array, void, undefined> {
  for (let left = count; left > 0; left -= zeros.length) yield zeros.subarray(0, Math.min(left, zeros.length))
}

/** Octal digits, or a large number behind a set first bit. @see tar(5) "Numeric Extensions" */
function parseSize(header: Buffer): number {
  const isBinary = ((header[sizeStart] ?? 0) & 0x80) !== 0
  if (isBinary) return Number(header.readBigUInt64BE(sizeEnd - 8))
  const [digits = '0'] = /[0-7]+/u.exec(header.toString('latin1', sizeStart, sizeEnd)) ?? []
  return Number.parseInt(digits, 8)
}

/** @see pax(1) "pax Extended Header": the length of a record, a blank, its name and value, a newline */
function findPaxSize(records: Buffer): number | undefined {
  for (let at = 0; at < records.length;) {
    const blank = records.indexOf(0x20, at)
    const length = Number(records.toString('latin1', at, blank))
    if (blank === -1 || !(length > 0)) return undefined
    const [name, value] = records.toString('latin1', blank + 1, at + length - 1).split('=', 2)
    if (name === 'size' && /^\d+$/u.test(value ?? '')) return Number(value)
    at += length
  }
  return undefined
}
