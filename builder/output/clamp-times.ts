import { MalformedArchive } from '../archive/errors.ts'

const blockBytes = 512
const maxPaxBytes = 1024 * 1024
const mtimeField = { start: 136, end: 148 } as const
const checksumField = { start: 148, end: 156 } as const
const sizeField = { start: 124, end: 136 } as const
const typeAt = 156
const paxType = 0x78
/** Types that have no body whatever their size field says: links, devices, directories, fifos. */
const bodiless = new Set('123456'.split('').map((type) => type.charCodeAt(0)))

/** The same tar with every modification time later than `epochSeconds` set to it; nothing else is changed. */
export async function* clampTimes(tar: AsyncIterable<Uint8Array>, epochSeconds: number): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = new BlockReader(tar)
  let pax: Pax | undefined
  for (;;) {
    const header = await reader.take(blockBytes)
    if (header === undefined) return
    if (header.every((byte) => byte === 0)) {
      yield header
      continue
    }
    const size = readNumber(header, sizeField)
    if (header[typeAt] === paxType) {
      pax = parsePax(await reader.takeBody(size), header)
      continue
    }
    const records = pax?.records ?? []
    const mtime = records.find(([key]) => key === 'mtime')
    if (Number(mtime?.[1] ?? readNumber(header, mtimeField)) > epochSeconds) {
      writeOctal(header, mtimeField, epochSeconds)
      writeChecksum(header)
      yield* formatPax(pax, records.filter((record) => record !== mtime))
    } else {
      yield* formatPax(pax, records)
    }
    pax = undefined
    yield header
    const bodyBytes = Number(records.find(([key]) => key === 'size')?.[1] ?? size)
    if (!bodiless.has(header[typeAt] ?? 0)) yield* reader.pass(padded(bodyBytes))
  }
}

interface Pax {
  readonly header: Buffer
  readonly body: Buffer
  readonly records: readonly (readonly [key: string, value: string])[]
}

/** Values are read as bytes, one character each: file names and attributes need not be UTF-8. */
function parsePax(body: Buffer, header: Buffer): Pax {
  const records: [string, string][] = []
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(0x20, at)
    const length = space === -1 ? NaN : Number(body.toString('latin1', at, space))
    if (!Number.isSafeInteger(length) || length < space - at + 3 || at + length > body.length) throw new MalformedArchive('a pax record has a wrong length')
    const text = body.toString('latin1', space + 1, at + length - 1)
    const equals = text.indexOf('=')
    records.push([text.slice(0, equals), text.slice(equals + 1)])
    at += length
  }
  return { header, body, records }
}

function* formatPax(pax: Pax | undefined, records: Pax['records']): Generator<Uint8Array, void, undefined> {
  if (pax === undefined || records.length === 0) return
  const body = records.length === pax.records.length ? pax.body : Buffer.concat(records.map(([key, value]) => formatRecord(key, value)))
  const header = Buffer.from(pax.header)
  writeOctal(header, sizeField, body.length)
  writeChecksum(header)
  yield header
  yield body
  yield Buffer.alloc(padded(body.length) - body.length)
}

/** A record's length counts itself. */
function formatRecord(key: string, value: string): Buffer {
  const rest = key.length + value.length + 3
  let total = rest + String(rest).length
  if (String(total).length !== String(rest).length) total = rest + String(total).length
  return Buffer.from(`${total} ${key}=${value}\n`, 'latin1')
}

interface Field { readonly start: number; readonly end: number }

/** Octal digits, or GNU's binary form marked by the highest bit. */
function readNumber(header: Buffer, { start, end }: Field): number {
  const first = header[start] ?? 0
  if ((first & 0x80) !== 0) {
    let value = first === 0xff ? -1n : BigInt(first & 0x7f)
    for (let at = start + 1; at < end; at += 1) value = value * 256n + BigInt(header[at] ?? 0)
    return Number(value)
  }
  const digits = header.toString('latin1', start, end).replaceAll('\0', ' ').trim()
  if (!/^[0-7]*$/u.test(digits)) throw new MalformedArchive('a header has a number that is none')
  return digits === '' ? 0 : Number.parseInt(digits, 8)
}

function writeOctal(header: Buffer, { start, end }: Field, value: number): void {
  header.write(`${value.toString(8).padStart(end - start - 1, '0')}\0`, start, 'latin1')
}

function writeChecksum(header: Buffer): void {
  header.fill(0x20, checksumField.start, checksumField.end)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, checksumField.start, 'latin1')
}

function padded(size: number): number {
  return Math.ceil(size / blockBytes) * blockBytes
}

class BlockReader {
  readonly #chunks: AsyncIterator<Uint8Array, unknown>
  #pending: Buffer = Buffer.alloc(0)

  constructor(tar: AsyncIterable<Uint8Array>) {
    this.#chunks = tar[Symbol.asyncIterator]()
  }

  /** A copy of the next bytes; undefined at the end. */
  async take(count: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = []
    for (let missing = count; missing > 0;) {
      const part = await this.#next(missing)
      if (part === undefined) {
        if (parts.length > 0) throw new MalformedArchive('it ends within an entry')
        return undefined
      }
      parts.push(part)
      missing -= part.length
    }
    return Buffer.concat(parts)
  }

  async takeBody(size: number): Promise<Buffer> {
    if (size > maxPaxBytes) throw new MalformedArchive(`a pax header has ${size} bytes, more than ${maxPaxBytes}`)
    return (await this.take(padded(size)) ?? Buffer.alloc(0)).subarray(0, size)
  }

  async* pass(count: number): AsyncGenerator<Uint8Array, void, undefined> {
    for (let missing = count; missing > 0;) {
      const part = await this.#next(missing)
      if (part === undefined) throw new MalformedArchive('it ends within a file')
      yield part
      missing -= part.length
    }
  }

  async #next(most: number): Promise<Buffer | undefined> {
    while (this.#pending.length === 0) {
      const next = await this.#chunks.next()
      if (next.done === true) return undefined
      this.#pending = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength)
    }
    const part = this.#pending.subarray(0, most)
    this.#pending = this.#pending.subarray(part.length)
    return part
  }
}
