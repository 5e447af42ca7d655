import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import { digestHex } from '../../oci/digest.ts'
import { encodeDocument } from '../../oci/manifest.ts'
import { gc, measureUsage } from '../../storage/index.ts'
import { describeBytes } from '../support/images.ts'
import type { TestImage } from '../support/stored-images.ts'
import { applied, blobPath, diffIdOf, writeDocuments, writeImage } from '../support/stored-images.ts'
import { expectClean, useStores } from '../support/stores.ts'
import { stream, task } from '../support/streams.ts'
import { archive, file } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const stores = useStores(useTemporaryFolder('images'))

const raise = (): never => { throw new TypeError('there is one') }

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
