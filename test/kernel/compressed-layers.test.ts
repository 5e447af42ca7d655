import { execFileSync } from 'node:child_process'
import { constants, crc32, deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { digestAsDiffId, sha256 } from '../../oci/digest.ts'
import type { LayerFormatName } from '../../storage/index.ts'
import { describeBytes } from '../support/images.ts'
import { useStores } from '../support/stores.ts'
import { stream, task } from '../support/streams.ts'
import { archive, directory, file } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const folder = useTemporaryFolder('compressed-layers')
const tar = archive(directory('d/'), file('d/f', 'x'.repeat(70_000)), file('e', 'y'.repeat(3000)))
const [head, tail] = [tar.subarray(0, 40_000), tar.subarray(40_000)]

/** One gzip member with every optional field of its header. */
function dressed(bytes: Buffer): Buffer {
  const extra = Buffer.alloc(65_535, 'e')
  const header = Buffer.concat([
    Buffer.from([0x1f, 0x8b, 8, 0b1_1110, 0, 0, 0, 0, 0, 3]), Buffer.from([0xff, 0xff]), extra, Buffer.from(`${'n'.repeat(65_536)}\0`), Buffer.from(`${'c'.repeat(65_536)}\0`),
  ])
  const check = Buffer.alloc(2)
  check.writeUInt16LE(crc32(header) & 0xffff)
  const end = Buffer.alloc(8)
  end.writeUInt32LE(crc32(bytes), 0)
  end.writeUInt32LE(bytes.length, 4)
  return Buffer.concat([header, check, deflateRawSync(bytes), end])
}

const changed = (bytes: Buffer, at: number, by: number): Buffer => {
  const copy = Buffer.from(bytes)
  copy[at < 0 ? copy.length + at : at] = by
  return copy
}
const skippable = (content: string): Buffer => Buffer.concat([Buffer.from([0x53, 0x2a, 0x4d, 0x18, content.length, 0, 0, 0]), Buffer.from(content)])
const summed = (bytes: Buffer): Buffer => zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
const packed = (program: string): Buffer => execFileSync(program, ['-c'], { input: tar })
const empty = gzipSync(Buffer.alloc(0))

const taken: readonly (readonly [string, Buffer])[] = [
  ['gzip in one member', gzipSync(tar)], ['gzip in two members', Buffer.concat([gzipSync(head), gzipSync(tail)])], ['gzip with all that a header may have', dressed(tar)],
  ['gzip after a hundred thousand members of nothing', Buffer.concat([...Array.from({ length: 100_000 }, () => empty), gzipSync(tar)])], ['gzip without compression', gzipSync(tar, { level: 0 })],
  ['zstd in one frame', zstdCompressSync(tar)], ['zstd in two frames with checksums', Buffer.concat([summed(head), summed(tail)])], ['zstd between skippable frames', Buffer.concat([skippable('a'), zstdCompressSync(tar), skippable('z')])],
  ['zstd after two thousand frames of nothing', Buffer.concat([...Array.from({ length: 2000 }, () => zstdCompressSync(Buffer.alloc(0))), zstdCompressSync(tar)])], ['plain tar', tar],
]

const refused: readonly (readonly [string, string, Buffer])[] = [
  ['gzip that is cut', 'STORAGE_MALFORMED_COMPRESSION', gzipSync(tar).subarray(0, -9)], ['gzip with a wrong checksum', 'STORAGE_MALFORMED_COMPRESSION', changed(gzipSync(tar), -8, 0x55)],
  ['gzip with a wrong length', 'STORAGE_MALFORMED_COMPRESSION', changed(gzipSync(tar), -1, 0x55)], ['gzip with a reserved flag', 'STORAGE_MALFORMED_COMPRESSION', changed(gzipSync(tar), 3, 0x20)],
  ['gzip before garbage', 'STORAGE_MALFORMED_COMPRESSION', Buffer.concat([gzipSync(tar), Buffer.from('garbage')])], ['gzip in gzip', 'STORAGE_HOSTILE_ARCHIVE', gzipSync(gzipSync(tar))],
  ['zstd that is cut', 'STORAGE_MALFORMED_COMPRESSION', zstdCompressSync(tar).subarray(0, -5)], ['zstd with a wrong checksum', 'STORAGE_MALFORMED_COMPRESSION', changed(summed(tar), -1, 0x55)],
  ['zstd with a window of 2^41', 'STORAGE_MALFORMED_COMPRESSION', Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 1, 0, 0])], ['zstd of a dictionary', 'STORAGE_MALFORMED_COMPRESSION', Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x01, 0x58, 7, 1, 0, 0])],
  ['xz', 'STORAGE_HOSTILE_ARCHIVE', packed('xz')], ['bzip2', 'STORAGE_HOSTILE_ARCHIVE', packed('bzip2')],
]

describe.each<LayerFormatName>(['overlay', 'erofs'])('blobs of layers in format %s, whatever their media type says', (format) => {
  const stores = useStores(folder, format)

  it.each(taken)('are taken: %s', async (_, blob) => {
    const store = await stores.open()
    const layer = await store.ingestLayer({ parent: undefined, blob: describeBytes(blob), bytes: stream(blob, 65_521), diffId: digestAsDiffId(sha256(tar)) }, task)
    expect((await store.layers.view(layer.chainId).readFile('/d/f', 1 << 20)).toString()).toBe('x'.repeat(70_000))
  })

  it.each(refused)('is refused: %s', async (_, code, blob) => {
    const store = await stores.open()
    const ingested = store.ingestLayer({ parent: undefined, blob: describeBytes(blob), bytes: stream(blob, 65_521), diffId: digestAsDiffId(sha256(tar)) }, task)
    // Where tars are kept as they are, the diffID is compared before anything is read.
    await expect(ingested).rejects.toMatchObject({ code: format === 'erofs' && code === 'STORAGE_HOSTILE_ARCHIVE' ? 'STORAGE_DIFFID_MISMATCH' : code })
    expect(store.content.find(sha256(blob))).toBeUndefined()
  })
})
