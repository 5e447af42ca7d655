import { Readable } from 'node:stream'
import type { Header } from 'tar-stream'
import { extract } from 'tar-stream'

/** An entry as another reader of tar sees it; text is Latin-1, attributes are hexadecimal. */
export interface ListedEntry {
  readonly name: string
  readonly type: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtime: number
  readonly linkname: string
  readonly devmajor: number
  readonly devminor: number
  readonly xattrs: Readonly<Record<string, string>>
}

/** Lists an archive with a library that shares nothing with our encoder. PAX texts that it misreads are read here. */
export async function listTar(bytes: Buffer): Promise<ListedEntry[]> {
  const entries: ListedEntry[] = []
  const pax = readPax(bytes)
  const extraction = extract({ filenameEncoding: 'latin1' } as never)
  extraction.on('entry', (header, body, next) => {
    entries.push(describe(header, pax[entries.length] ?? new Map()))
    body.on('end', next).resume()
  })
  await new Promise<void>((resolve, reject) => { Readable.from([bytes]).pipe(extraction).on('finish', () => { resolve() }).on('error', reject) })
  return entries
}

function describe(header: Header, records: ReadonlyMap<string, Buffer>): ListedEntry {
  const xattrs = [...records].filter(([key]) => key.startsWith('SCHILY.xattr.')).map(([key, value]): [string, string] => [key.slice(13), value.toString('hex')])
  return {
    ...header,
    name: records.get('path')?.toString('latin1') ?? header.name,
    uid: Number(records.get('uid') ?? header.uid),
    mtime: Number(records.get('mtime') ?? header.mtime.getTime() / 1000),
    linkname: records.get('linkpath')?.toString('latin1') ?? header.linkname,
    xattrs: Object.fromEntries(xattrs),
  }
}

/** The PAX records of each entry, as bytes. */
function readPax(bytes: Buffer): Map<string, Buffer>[] {
  const found: Map<string, Buffer>[] = []
  let records = new Map<string, Buffer>()
  for (let at = 0; at < bytes.length && bytes[at] !== 0;) {
    const size = records.has('size') ? Number(records.get('size')) : Number.parseInt(bytes.subarray(at + 124, at + 136).toString('latin1'), 8)
    const body = bytes.subarray(at + 512, at + 512 + size)
    if (bytes[at + 156] === 'x'.charCodeAt(0)) {
      records = parseRecords(body)
    } else {
      found.push(records)
      records = new Map()
    }
    at += 512 + Math.ceil(size / 512) * 512
  }
  return found
}

function parseRecords(body: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>()
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(' ', at)
    const length = Number(body.subarray(at, space).toString())
    const equals = body.indexOf('=', space)
    records.set(body.subarray(space + 1, equals).toString(), body.subarray(equals + 1, at + length - 1))
    at += length
  }
  return records
}
