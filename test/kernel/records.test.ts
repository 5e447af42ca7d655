import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { describe, expect, it, vi } from 'vitest'
import type { Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import type { DiffId } from '../../oci/digest.ts'
import { chainId, digestAsDiffId, digestHex, sha256 } from '../../oci/digest.ts'
import { encodeDocument } from '../../oci/manifest.ts'
import type { BlobBegun, GrowingBlob, Layer, Store } from '../../storage/index.ts'
import { fsck, gc, measureUsage } from '../../storage/index.ts'
import { describeBytes } from '../support/images.ts'
import type { TestImage } from '../support/stored-images.ts'
import { applied, writeDocuments, writeImage } from '../support/stored-images.ts'
import { expectClean, inodesOfLayer, useStores } from '../support/stores.ts'
import { collect, stream, task } from '../support/streams.ts'
import { archive, directory, file, hardLink } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const stores = useStores(useTemporaryFolder('records'))

const raise = (): never => { throw new TypeError('there is one') }

function diffIdOf(tar: Buffer): DiffId {
  return digestAsDiffId(sha256(tar))
}

function blobPath(store: Store, digest: string): string {
  return join(store.root, 'content', 'blobs', 'sha256', digest.slice(7))
}

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

describe('content', () => {
  it('keeps a blob under its digest, once', async () => {
    const store = await stores.open()
    const bytes = Buffer.alloc(300_000, 'blob')
    const blob = describeBytes(bytes)
    await store.content.ingest(blob, stream(bytes), task)
    await store.content.ingest(blob, stream(Buffer.from('never read')), task)
    expect(store.content.find(blob.digest)).toEqual({ digest: blob.digest, sizeBytes: bytes.length })
    expect(await collect(store.content.read(blob, task))).toEqual(bytes)
    expect(readFileSync(blobPath(store, blob.digest))).toEqual(bytes)
  })

  it('refuses bytes that are wrong, short or long, and leaves nothing of them', async () => {
    const store = await stores.open()
    const bytes = Buffer.from('what was promised')
    const blob = describeBytes(bytes)
    for (const wrong of [Buffer.from('what was Promised'), bytes.subarray(1), Buffer.concat([bytes, bytes]), Buffer.alloc(0)]) {
      await expect(store.content.ingest(blob, stream(wrong), task)).rejects.toMatchObject({ code: 'OCI_DIGEST_MISMATCH' })
    }
    expect(store.content.find(blob.digest)).toBeUndefined()
    const [session = ''] = readdirSync(join(store.root, 'sessions'))
    expect(readdirSync(join(store.root, 'sessions', session))).toEqual([])
  })

  it('finds no blob whose file is gone or cut, and takes it in again', async () => {
    const store = await stores.open()
    const bytes = Buffer.from('document')
    const blob = await store.content.write(bytes, mediaTypes.ociConfig)
    for (const damage of [(): void => { rmSync(blobPath(store, blob.digest)) }, (): void => { truncateSync(blobPath(store, blob.digest), 3) }]) {
      damage()
      expect(store.content.find(blob.digest)).toBeUndefined()
      await expect(store.content.readDocument(blob)).rejects.toMatchObject({ code: 'STORAGE_BLOB_MISSING', digest: blob.digest })
      await store.content.write(bytes, mediaTypes.ociConfig)
      expect(Buffer.from(await store.content.readDocument(blob))).toEqual(bytes)
    }
  })

  it('does not hand out a blob with other bytes than its digest says', async () => {
    const store = await stores.open()
    const blob = await store.content.write(Buffer.from('right'), mediaTypes.ociConfig)
    writeFileSync(blobPath(store, blob.digest), 'wrong')
    await expect(collect(store.content.read(blob, task))).rejects.toMatchObject({ code: 'OCI_DIGEST_MISMATCH' })
    await expect(store.content.readDocument(blob)).rejects.toMatchObject({ code: 'OCI_DIGEST_MISMATCH' })
    expect((await fsck(store, task)).findings).toEqual([{ check: 'blob-digest', object: blob.digest, expected: blob.digest, actual: sha256('wrong') }])
    writeFileSync(blobPath(store, blob.digest), 'right')
  })
})

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

describe('images', () => {
  it('are found by name, id and unique beginning of an id', async () => {
    const store = await stores.open()
    const layer = await applied(store, file('a'))
    const image = await writeImage(store, [layer])
    await store.layers.sync(task)
    const put = store.images.put(image.manifest, image.config.digest, ['docker.io/library/a:1', 'docker.io/library/a:2'])
    expect(put).toMatchObject({ id: image.config.digest, manifest: image.manifest, names: ['docker.io/library/a:1', 'docker.io/library/a:2'] })
    for (const text of ['docker.io/library/a:2', image.config.digest, digestHex(image.config.digest), digestHex(image.config.digest).slice(0, 6)]) {
      expect(store.images.find(text)).toEqual(put)
    }
    expect(store.images.find('docker.io/library/b:1')).toBeUndefined()
    const other = await writeImage(store, [layer], 'other')
    store.images.put(other.manifest, other.config.digest, ['docker.io/library/a:2'])
    expect(store.images.list().map((found) => found.names)).toEqual(expect.arrayContaining([['docker.io/library/a:1'], ['docker.io/library/a:2']]))
    expect(() => store.images.find('')).not.toThrow()
    expect(store.images.untag('docker.io/library/a:1')).toBe(true)
    expect(store.images.untag('docker.io/library/a:1')).toBe(false)
    expect(store.images.find(image.config.digest)).toMatchObject({ names: [] })
    store.images.remove(other.config.digest)
    expect(store.images.find('docker.io/library/a:2')).toBeUndefined()
  })

  it('put again as they are get a new time, and nothing else is written', async () => {
    const store = await stores.open()
    const layer = await applied(store, file('a'))
    const { manifest, config } = await writeImage(store, [layer])
    await store.layers.sync(task)
    const names = ['docker.io/library/a:1']
    const first = store.images.put(manifest, config.digest, names)
    const index = (): unknown => statSync(join(store.root, 'content', 'index.json')).ino
    const before = index()
    await new Promise((resolve) => { setTimeout(resolve, 2) })
    const again = store.images.put(manifest, config.digest, names)
    expect(again).toEqual({ ...first, createdAtMs: again.createdAtMs })
    expect(again.createdAtMs).toBeGreaterThan(first.createdAtMs)
    expect(store.images.list()).toEqual([again])
    expect(index()).toBe(before)
    expect(store.images.put(manifest, config.digest, ['docker.io/library/a:2']).names).toEqual([...names, 'docker.io/library/a:2'])
    expect(index()).not.toBe(before)
  })

  it('of one config keep the manifest that each name was given, and the blobs of all', async () => {
    const store = await stores.open()
    const layer = await applied(store, file('a'))
    await store.layers.sync(task)
    const blobs = [await store.layerBlob(layer.chainId, 'gzip', task), await store.layerBlob(layer.chainId, 'zstd', task), await store.layerBlob(layer.chainId, { compression: 'gzip', level: 1 }, task)]
    const forms: TestImage[] = []
    for (const each of blobs) forms.push(await writeDocuments(store, { blobs: [each], diffIds: [layer.diffId], comment: '' }))
    expect(new Set(forms.map(({ config }) => config.digest)).size).toBe(1)
    const name = (index: number): string => `docker.io/library/a:${index}`
    for (const [index, { manifest, config }] of forms.entries()) store.images.put(manifest, config.digest, [name(index)])
    const last = forms[2]
    for (const [index, { manifest }] of forms.entries()) expect(store.images.find(name(index))).toMatchObject({ manifest, names: [name(0), name(1), name(2)] })
    expect(store.images.list()).toMatchObject([{ manifest: last?.manifest }])
    const index = JSON.parse(readFileSync(join(store.root, 'content', 'index.json'), 'utf8')) as { manifests: Descriptor[] }
    expect(index.manifests.map(({ digest }) => digest)).toEqual(forms.map(({ manifest }) => manifest.digest))

    // Giving a name the other form moves it; a name that is gone needs its blobs no more.
    store.images.put(forms[0]?.manifest ?? raise(), forms[0]?.config.digest ?? raise(), [name(1)])
    expect(store.images.find(name(1))).toMatchObject({ manifest: forms[0]?.manifest })
    expect(store.images.find(name(2))).toMatchObject({ manifest: last?.manifest })
    expect(store.images.untag(name(2))).toBe(true)
    await store[Symbol.asyncDispose]()
    const again = await stores.open(store.root)
    await gc(again, task, { dryRun: false })
    expect(forms.map(({ manifest }) => existsSync(blobPath(again, manifest.digest)))).toEqual([true, false, false])
    again.images.remove(forms[0]?.config.digest ?? raise())
    expect(again.images.find(name(0))).toBeUndefined()
    await again[Symbol.asyncDispose]()
    await expectClean(store.root)
  })

  it('keep the blobs of a new manifest when another one cannot be read', async () => {
    const store = await stores.open()
    const layer = await applied(store, file('a'))
    await store.layers.sync(task)
    const forms: TestImage[] = []
    for (const form of ['gzip', 'zstd'] as const) forms.push(await writeDocuments(store, { blobs: [await store.layerBlob(layer.chainId, form, task)], diffIds: [layer.diffId], comment: '' }))
    const [older = raise(), newer = raise()] = forms
    store.images.put(older.manifest, older.config.digest, ['docker.io/library/a:1'])
    const lost = readFileSync(blobPath(store, older.manifest.digest))
    rmSync(blobPath(store, older.manifest.digest))
    store.images.put(newer.manifest, newer.config.digest, ['docker.io/library/a:2'])
    await store[Symbol.asyncDispose]()
    const again = await stores.open(store.root)
    await gc(again, task, { dryRun: false })
    expect(existsSync(blobPath(again, newer.manifest.digest))).toBe(true)
    // With it back nothing is missing.
    writeFileSync(blobPath(again, older.manifest.digest), lost)
  })

  it('are not chosen by a beginning that two have', async () => {
    const store = await stores.open()
    const layer = await applied(store, file('a'))
    await store.layers.sync(task)
    for (let index = 0; index < 17; index += 1) {
      const image = await writeImage(store, [layer], `${index}`)
      store.images.put(image.manifest, image.config.digest, [])
    }
    const ids = store.images.list().map((image) => digestHex(image.id))
    const shared = ids.find((id) => ids.filter((other) => other.startsWith(id.slice(0, 1))).length > 1)?.slice(0, 1) ?? ''
    expect(() => store.images.find(shared)).toThrow(expect.objectContaining({ code: 'STORAGE_AMBIGUOUS_ID', prefix: shared }))
  })

  it('are recorded only when their documents and layers are there and durable', async () => {
    const store = await stores.open()
    const layer = await applied(store, file('a'))
    const image = await writeImage(store, [layer])
    const put = (manifest: Descriptor, config: Descriptor) => (): unknown => store.images.put(manifest, config.digest, ['docker.io/library/a:1'])
    expect(put(image.manifest, image.config)).toThrow(expect.objectContaining({ code: 'STORAGE_IMAGE_INCOMPLETE' }))
    await store.layers.sync(task)
    expect(put(image.manifest, image.manifest)).toThrow(expect.objectContaining({ code: 'STORAGE_IMAGE_INCOMPLETE' }))
    const absent = await writeDocuments(store, { blobs: [await store.layerBlob(layer.chainId, 'gzip', task)], diffIds: [diffIdOf(archive())], comment: '' })
    expect(put(absent.manifest, absent.config)).toThrow(expect.objectContaining({ code: 'STORAGE_IMAGE_INCOMPLETE' }))
    const uneven = await writeDocuments(store, { blobs: [], diffIds: [layer.diffId], comment: '' })
    expect(put(uneven.manifest, uneven.config)).toThrow(expect.objectContaining({ code: 'STORAGE_IMAGE_INCOMPLETE' }))
    expect(put(describeBytes(Buffer.from('{}'), mediaTypes.ociManifest), image.config)).toThrow(expect.objectContaining({ code: 'STORAGE_BLOB_MISSING' }))
    expect(store.images.list()).toEqual([])
    put(image.manifest, image.config)()
  })

  it('of several platforms lie under one index, which keeps the layers of all of them', async () => {
    const root = stores.newRoot()
    let store = await stores.open(root)
    const base = await applied(store, file('base', 'x'.repeat(10_000)))
    const one = await store.layers.apply(base.chainId, stream(archive(file('one'))), undefined, task)
    const other = await store.layers.apply(base.chainId, stream(archive(file('other'))), undefined, task)
    const images = [await writeImage(store, [base, one], 'one'), await writeImage(store, [base, other], 'other')]
    const bytes = encodeDocument({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: images.map(({ manifest }) => manifest) })
    const index = await store.content.write(bytes, mediaTypes.ociIndex)
    expect(() => store.images.put(index, index.digest, [])).toThrow(expect.objectContaining({ code: 'STORAGE_IMAGE_INCOMPLETE' }))
    await store.layers.sync(task)
    expect(() => store.images.put(index, images[0]?.config.digest ?? index.digest, [])).toThrow(expect.objectContaining({ code: 'STORAGE_IMAGE_INCOMPLETE' }))
    expect(store.images.put(index, index.digest, ['docker.io/library/many:1'])).toMatchObject({ id: index.digest, manifest: index })
    await store[Symbol.asyncDispose]()
    store = await stores.open(root)
    expect(await gc(store, task, { dryRun: false })).toMatchObject({ layers: 0, blobs: 0 })
    await expectClean(root)
    const { perImage: [used], perLayer } = await measureUsage(store, task)
    expect(used?.size.inodes).toBe(used?.unique.inodes)
    expect(perLayer.map(({ images: count }) => count)).toEqual([1, 1, 1])
    expect(store.images.lease(index.digest)).toBe(true)
    await store[Symbol.asyncDispose]()
    store = await stores.open(root)
    store.images.remove(index.digest)
    const predicted = await gc(store, task, { dryRun: true })
    expect(predicted).toMatchObject({ layers: 3 })
    expect(await gc(store, task, { dryRun: false })).toEqual(predicted)
  })

  it('stand in index.json again when power was lost before its bytes were on the disk', async () => {
    const root = stores.newRoot()
    const first = await stores.open(root)
    const layer = await applied(first, file('a'))
    await first.layers.sync(task)
    const image = await writeImage(first, [layer])
    first.images.put(image.manifest, image.config.digest, ['docker.io/library/whole:1'])
    await first[Symbol.asyncDispose]()
    writeFileSync(join(root, 'content', 'index.json'), '')
    await stores.open(root)
    expect(JSON.parse(readFileSync(join(root, 'content', 'index.json'), 'utf8'))).toMatchObject({ manifests: [image.manifest] })
  })

  it('stand in index.json when every blob of theirs is there', async () => {
    const store = await stores.open()
    const index = (): unknown => JSON.parse(readFileSync(join(store.root, 'content', 'index.json'), 'utf8'))
    const layer = await applied(store, file('a'))
    await store.layers.sync(task)
    const lacking = await writeDocuments(store, { blobs: [describeBytes(Buffer.from('elsewhere'))], diffIds: [layer.diffId], comment: '' })
    store.images.put(lacking.manifest, lacking.config.digest, ['docker.io/library/lacking:1'])
    expect(index()).toEqual({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] })
    const whole = await writeImage(store, [layer], 'whole')
    store.images.put(whole.manifest, whole.config.digest, ['docker.io/library/whole:1'])
    expect(index()).toMatchObject({ manifests: [{ ...whole.manifest, annotations: { 'org.opencontainers.image.ref.name': 'docker.io/library/whole:1' } }] })
    store.images.remove(whole.config.digest)
    expect(index()).toMatchObject({ manifests: [] })
  })
})

describe('cache entries', () => {
  it('are found by the session at once and by others with their layer', async () => {
    const root = stores.newRoot()
    const [store, other] = [await stores.open(root), await stores.open(root)]
    const layer = await applied(store, file('a'))
    store.cache.put({ key: 'k', chainId: layer.chainId, payload: '{"a":1}' })
    expect(store.cache.find('k')).toMatchObject({ key: 'k', chainId: layer.chainId, payload: '{"a":1}' })
    expect(other.cache.find('k')).toBeUndefined()
    await store.layers.sync(task)
    expect(other.cache.find('k')).toMatchObject({ chainId: layer.chainId })
    store.cache.put({ key: 'k2', chainId: layer.chainId, payload: '' })
    await store.layers.sync(task)
    expect(other.cache.find('k2')).toBeDefined()
  })

  it('keep their layer alive, and are not found without it', async () => {
    const root = stores.newRoot()
    const store = await stores.open(root)
    const layer = await applied(store, file('a'))
    store.cache.put({ key: 'k', chainId: layer.chainId, payload: '' })
    await store[Symbol.asyncDispose]()
    const later = await stores.open(root)
    expect(await gc(later, task, { dryRun: false })).toMatchObject({ layers: 0 })
    expect(later.cache.find('k')).toBeDefined()
    await later[Symbol.asyncDispose]()
    for (const dir of readdirSync(join(root, 'layers'))) rmSync(join(root, 'layers', dir), { recursive: true })
    const last = await stores.open(root)
    expect(last.cache.find('k')).toBeUndefined()
    const again = await applied(last, file('a'))
    expect(again.chainId).toBe(layer.chainId)
    await last.layers.sync(task)
    expect(last.cache.find('k')).toBeDefined()
  })
})

describe('digests of files', () => {
  it('are forgotten with the form that earlier versions of a store have', async () => {
    const store = await stores.open()
    await store[Symbol.asyncDispose]()
    for (const version of [3, 4]) {
      const database = new DatabaseSync(join(store.root, 'state.db'))
      database.exec(`
        DROP TABLE digest_roots; DROP TABLE digest_folders; PRAGMA user_version = ${version};
        ${version === 4 ? "CREATE TABLE file_digests (folder TEXT PRIMARY KEY, digests TEXT NOT NULL, used_ms INTEGER NOT NULL) WITHOUT ROWID; INSERT INTO file_digests VALUES ('/', '{}', 1)" : ''}`)
      database.close()
      const later = await stores.open(store.root)
      later.fileDigests.save('/tree', new Map([['/', Buffer.from('new')]]), new Set())
      expect(Buffer.from(later.fileDigests.load('/tree', Buffer.from('/')) ?? []).toString()).toBe('new')
      await later[Symbol.asyncDispose]()
    }
    const database = new DatabaseSync(join(store.root, 'state.db'))
    expect(database.prepare("SELECT user_version, (SELECT count(*) FROM sqlite_master WHERE name = 'file_digests') AS old FROM pragma_user_version").get()).toEqual({ user_version: 5, old: 0 })
    database.close()
  })

  it('are kept by tree and directory, of the trees that were used last', async () => {
    const root = stores.newRoot()
    const store = await stores.open(root)
    const folder = Buffer.from([0x2f, 0xff])
    const save = (tree: string, text: string): void => { store.fileDigests.save(tree, new Map([[folder.toString('latin1'), Buffer.from(text)]]), new Set()) }
    save('/tree', 'one')
    save('/tree', 'two')
    expect(Buffer.from(store.fileDigests.load('/tree', folder) ?? []).toString()).toBe('two')
    expect([store.fileDigests.load('/tree', Buffer.from('/')), store.fileDigests.load('/other', folder)]).toEqual([undefined, undefined])
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 1000 })
    for (let number = 0; number < 64; number += 1) save(`/tree-${number}`, 'x')
    vi.useRealTimers()
    await store[Symbol.asyncDispose]()
    const later = await stores.open(root)
    expect([later.fileDigests.load('/tree', folder), Buffer.from(later.fileDigests.load('/tree-63', folder) ?? []).toString()]).toEqual([undefined, 'x'])
  })
})
