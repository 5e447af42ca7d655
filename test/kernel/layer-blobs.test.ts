import { randomBytes } from 'node:crypto'
import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { Descriptor } from '../../oci/descriptor.ts'
import { chainId, sha256 } from '../../oci/digest.ts'
import type { BlobBegun, GrowingBlob, Layer } from '../../storage/index.ts'
import { describeBytes } from '../support/images.ts'
import { applied, blobPath, diffIdOf } from '../support/stored-images.ts'
import { inodesOfLayer, useStores } from '../support/stores.ts'
import { collect, stream, task } from '../support/streams.ts'
import { archive, directory, file, hardLink } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const stores = useStores(useTemporaryFolder('layer-blobs'))

async function readGrowing(growing: GrowingBlob): Promise<readonly [Descriptor | undefined, Buffer]> {
  await using blob = growing
  const pieces: Buffer[] = []
  for (let at = 0; ;) {
    const { sizeBytes, blob: made } = await blob.more(at)
    pieces.push(await collect(blob.read(at, sizeBytes - at)))
    at = sizeBytes
    if (made !== undefined) return [made, Buffer.concat(pieces)]
  }
}

describe('layers from blobs', () => {
  const tar = archive(directory('d'), file('d/a', 'a'.repeat(70_000)))
  it.each([['gzip', gzipSync(tar)], ['zstd', zstdCompressSync(tar)], ['none', tar]] as const)('are taken in as %s in one pass', async (compression, bytes) => {
    const store = await stores.open()
    const blob = describeBytes(bytes)
    const layer = await store.ingestLayer({ parent: undefined, blob, bytes: stream(bytes, 777), diffId: diffIdOf(tar) }, task)
    expect(layer.chainId).toBe(sha256(tar))
    expect(await store.layerBlob(layer.chainId, compression, task)).toMatchObject({ digest: blob.digest, size: blob.size })
    expect(await collect(store.layers.changeset(layer.chainId, task))).toEqual(tar)
  })

  it('are read while they are compressed, and refused when they are not what they were', async () => {
    const store = await stores.open()
    const snapshot = await store.layers.prepare(undefined)
    writeFileSync(join(await snapshot.changes(task), 'random'), randomBytes(3_000_000))
    const layer = await snapshot.commit(task)
    const read: Promise<readonly [Descriptor | undefined, Buffer]>[] = []
    const emit = ({ follow }: BlobBegun): void => { read.push(readGrowing(follow())) }
    const blob = await store.layerBlob(layer.chainId, 'gzip', { signal: task.signal, emit })
    const [[made, bytes] = [undefined, Buffer.alloc(0)]] = await Promise.all(read)
    expect(made).toEqual(blob)
    expect(sha256(bytes)).toBe(blob.digest)

    const content = await store.layers.view(layer.chainId).content('/random')
    if (content.kind === 'bytes') throw new TypeError('a file of that size is on the disk')
    const [path, offset] = content.kind === 'host' ? [join(content.root, String(content.path)), 0] : [content.file, content.offset]
    const [right, { atimeMs, mtimeMs }] = [readFileSync(path), statSync(path)]
    const wrong = Buffer.from(right)
    wrong.writeUInt8(right.readUInt8(offset) ^ 1, offset)
    writeFileSync(path, wrong)
    let failure: unknown
    const fail = ({ follow }: BlobBegun): void => { readGrowing(follow()).catch((error: unknown) => { failure = error }) }
    const again = store.layerBlob(layer.chainId, { compression: 'gzip', level: 9 }, { signal: task.signal, emit: fail })
    await expect(again).rejects.toMatchObject({ code: 'STORAGE_LAYER_DAMAGED' })
    await expect.poll(() => failure).toMatchObject({ code: 'STORAGE_LAYER_DAMAGED' })
    writeFileSync(path, right)
    utimesSync(path, atimeMs / 1000, mtimeMs / 1000)
  })

  it('of one image come at the same time, and wait for their parents only when they must', async () => {
    const store = await stores.open()
    const tars = [archive(directory('d', { uid: '0000007' }), file('d/a', 'a')), archive(file('d/b', 'b')), archive(hardLink('d/c', 'd/a')), archive(file('e', 'e'))]
    let parent: Layer['chainId'] | undefined
    const underway = tars.map((bytes) => {
      const incoming = { parent, blob: describeBytes(bytes), bytes: stream(bytes, 512), diffId: diffIdOf(bytes) }
      parent = chainId(parent, incoming.diffId)
      return store.ingestLayer(incoming, task)
    })
    const layers = await Promise.all(underway)
    const view = store.layers.view(layers[3]?.chainId)
    expect((await view.list('/d')).map(String)).toEqual(['a', 'b', 'c'])
    expect(await view.lstat('/d')).toMatchObject({ uid: 7 })
    expect(layers.map((layer) => layer.inodes)).toEqual([3, 3, 3, 2].map((unpacked) => inodesOfLayer(unpacked)))
  })

  it('are refused when blob or changeset is not what was announced', async () => {
    const store = await stores.open()
    const bytes = gzipSync(tar)
    const other = diffIdOf(archive())
    await expect(store.ingestLayer({ parent: undefined, blob: describeBytes(bytes), bytes: stream(bytes), diffId: other }, task)).rejects.toMatchObject({ code: 'STORAGE_DIFFID_MISMATCH', expected: other })
    await expect(store.ingestLayer({ parent: undefined, blob: describeBytes(Buffer.from('x')), bytes: stream(bytes), diffId: diffIdOf(tar) }, task)).rejects.toMatchObject({ code: 'OCI_DIGEST_MISMATCH' })
    const cut = bytes.subarray(0, 100)
    await expect(store.ingestLayer({ parent: undefined, blob: describeBytes(cut), bytes: stream(cut), diffId: diffIdOf(tar) }, task)).rejects.toMatchObject({ code: 'STORAGE_MALFORMED_COMPRESSION' })
    const hostile = archive(file('../x'))
    await expect(store.ingestLayer({ parent: undefined, blob: describeBytes(hostile), bytes: stream(hostile), diffId: diffIdOf(hostile) }, task)).rejects.toMatchObject({ code: 'STORAGE_HOSTILE_ARCHIVE' })
    await expect(store.ingestLayer({ parent: chainId(undefined, other), blob: describeBytes(tar), bytes: stream(tar), diffId: diffIdOf(tar) }, task)).rejects.toMatchObject({ code: 'STORAGE_LAYER_MISSING' })
    expect(store.layers.find(chainId(undefined, diffIdOf(tar)))).toBeUndefined()
    expect(store.content.find(describeBytes(cut).digest)).toBeUndefined()
  })

  it('are compressed once, to the same bytes everywhere', async () => {
    const [one, two] = [await stores.open(), await stores.open()]
    const blobs = []
    for (const store of [one, two]) {
      const { chainId: top } = await applied(store, directory('d'), file('d/a', 'a'.repeat(3_000_000)))
      for (const compression of ['gzip', 'zstd', 'none'] as const) blobs.push(await store.layerBlob(top, compression, task))
      expect(await store.layerBlob(top, 'gzip', task)).toEqual(blobs.at(-3))
    }
    expect(blobs.slice(0, 3)).toEqual(blobs.slice(3))
    const [gzip, zstd] = blobs.map((blob) => readFileSync(blobPath(one, blob.digest)))
    expect([...gzip?.subarray(0, 10) ?? []]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])
    expect(gunzipSync(gzip ?? '')).toEqual(zstdDecompressSync(zstd ?? ''))
  })
})
