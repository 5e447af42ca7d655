/**
 * Tar byte by byte, without any check, so that every kind of wrong archive can be made. Never use a tar library for that:
 * they refuse, or repair, what they know to be wrong.
 */
export interface ForgedHeader {
  readonly name?: string | Buffer
  readonly type?: string
  readonly link?: string | Buffer
  readonly mode?: string | Buffer
  readonly uid?: string | Buffer
  readonly gid?: string | Buffer
  readonly size?: string | Buffer
  readonly mtime?: string | Buffer
  readonly major?: string | Buffer
  readonly minor?: string | Buffer
  readonly magic?: string | Buffer
  readonly prefix?: string | Buffer
  /** `signed` sums bytes as some old writers did. */
  readonly checksum?: string | Buffer
}

export const block = 512

const fields = {
  name: [0, 100], mode: [100, 8], uid: [108, 8], gid: [116, 8], size: [124, 12], mtime: [136, 12], checksum: [148, 8], type: [156, 1],
  link: [157, 100], magic: [257, 8], major: [329, 8], minor: [337, 8], prefix: [345, 155],
} as const

export function octal(value: number, width = 7): string {
  return value.toString(8).padStart(width, '0')
}

/** A number as GNU tar writes one that is too large for digits. */
export function base256(value: bigint, size: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let index = size - 1, rest = value; index >= 0; index -= 1, rest >>= 8n) bytes[index] = Number(BigInt.asUintN(8, rest))
  bytes[0] = (bytes[0] ?? 0) | 0x80
  return bytes
}

export function forgeHeader(header: ForgedHeader): Buffer {
  const bytes = Buffer.alloc(block)
  const put = (field: keyof typeof fields, value: string | Buffer): void => {
    const [start, length] = fields[field]
    Buffer.from(value).copy(bytes, start, 0, length)
  }
  put('name', header.name ?? '')
  put('type', header.type ?? '0')
  put('link', header.link ?? '')
  put('mode', header.mode ?? octal(0o644))
  put('uid', header.uid ?? octal(0))
  put('gid', header.gid ?? octal(0))
  put('size', header.size ?? octal(0, 11))
  put('mtime', header.mtime ?? octal(0, 11))
  put('magic', header.magic ?? 'ustar\x0000')
  put('major', header.major ?? '')
  put('minor', header.minor ?? '')
  put('prefix', header.prefix ?? '')
  put('checksum', ' '.repeat(8))
  const unsigned = bytes.reduce((sum, byte) => sum + byte, 0)
  const signed = bytes.reduce((sum, byte) => sum + (byte > 127 ? byte - 256 : byte), 0)
  if (header.checksum === 'signed') put('checksum', `${octal(signed, 6)}\0 `)
  else put('checksum', header.checksum ?? `${octal(unsigned, 6)}\0 `)
  return bytes
}

export function pad(body: Buffer): Buffer {
  return Buffer.concat([body, Buffer.alloc((block - body.length % block) % block)])
}

/** A header and its body; the size in the header is that of the body unless it is given. */
export function forge(header: ForgedHeader, body: string | Buffer = ''): Buffer {
  const bytes = Buffer.from(body)
  return Buffer.concat([forgeHeader({ size: octal(bytes.length, 11), ...header }), pad(bytes)])
}

export function forgeRecord(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')])
  let length = rest.length
  while (`${length}`.length + rest.length !== length) length = `${length}`.length + rest.length
  return Buffer.concat([Buffer.from(`${length}`), rest])
}

export function forgePax(records: Readonly<Record<string, string | Buffer>>, type = 'x'): Buffer {
  return forge({ name: 'pax', type }, Buffer.concat(Object.entries(records).map(([key, value]) => forgeRecord(key, value))))
}

export function forgeGnu(type: 'L' | 'K', text: string): Buffer {
  return forge({ name: '././@LongLink', type, magic: 'ustar  \0' }, `${text}\0`)
}

export function file(name: string, body = 'x', header: ForgedHeader = {}): Buffer {
  return forge({ name, ...header }, body)
}

export function directory(name: string, header: ForgedHeader = {}): Buffer {
  return forge({ name, type: '5', mode: octal(0o755), ...header })
}

export function symlink(name: string, target: string): Buffer {
  return forge({ name, type: '2', link: target, mode: octal(0o777) })
}

export function hardLink(name: string, target: string): Buffer {
  return forge({ name, type: '1', link: target })
}

/** Entries and the two blocks of zeros that end an archive. */
export function archive(...entries: readonly Buffer[]): Buffer {
  return Buffer.concat([...entries, Buffer.alloc(2 * block)])
}
