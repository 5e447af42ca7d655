import { existsSync, mkdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, describe, expect, it } from 'vitest'
import { createTask } from '../../core/task.ts'
import type { Engine } from '../../builder/index.ts'
import { copyImage, loadImages, openEngine, parseLocation, pullImage, usualBlobs } from '../../builder/index.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import { sha256 } from '../../oci/digest.ts'
import { fsck } from '../../storage/index.ts'
import { describeBytes } from '../support/images.ts'
import type { TestRegistry } from '../support/registry.ts'
import { startRegistry } from '../support/registry.ts'
import { archive, file, hardLink, symlink } from '../support/tar-forge.ts'
import { failureOf } from '../support/task.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const folder = useTemporaryFolder('hostile-images')
const platform = { os: 'linux', architecture: 'amd64' }
const open: AsyncDisposable[] = []
let count = 0

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]()
})

async function newEngine(): Promise<Engine> {
  const engine = await openEngine({ root: join(folder, `root-${count += 1}`), env: { HOME: folder } })
  open.push(engine)
  return engine
}

async function newRegistry(): Promise<TestRegistry> {
  const registry = await startRegistry()
  open.push(registry)
  return registry
}

const layer = archive(file('hello'))
const config = Buffer.from(JSON.stringify({ ...platform, config: {}, rootfs: { type: 'layers', diff_ids: [sha256(layer)] } }))

interface Document { readonly bytes: Buffer; readonly descriptor: Descriptor }

function encode(document: object, mediaType: string): Document {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...document }))
  return { bytes, descriptor: describeBytes(bytes, mediaType) }
}

/** An image of its own for each number. */
function manifest(number: number, layers: readonly object[] = [describeBytes(layer)]): Document {
  return encode({ config: describeBytes(config, mediaTypes.ociConfig), layers, annotations: { number: String(number) } }, mediaTypes.ociManifest)
}

function index(children: readonly Document[]): Document {
  return encode({ manifests: children.map(({ descriptor }) => ({ ...descriptor, platform })) }, mediaTypes.ociIndex)
}

function publish(registry: TestRegistry, documents: readonly Document[], tag: Document): string {
  for (const blob of [layer, config]) registry.blobs.set(sha256(blob), blob)
  for (const { bytes, descriptor } of [...documents, tag]) registry.manifests.set(`app ${descriptor.digest}`, { bytes, mediaType: descriptor.mediaType })
  registry.manifests.set('app x', { bytes: tag.bytes, mediaType: tag.descriptor.mediaType })
  return `${registry.host}/app:x`
}

/** Each the only child of the next, the outermost last. */
function nest(depth: number): Document[] {
  const documents = [manifest(0)]
  for (let level = 0; level < depth; level += 1) documents.push(index(documents.slice(-1)))
  return documents
}

const copyAll = (engine: Engine, from: string, to: string): Promise<unknown> => copyImage(engine, { from: parseLocation(from), to: parseLocation(to), platform: 'all', blobs: usualBlobs, maxConcurrent: 2 }, createTask())

describe('an index', () => {
  it('nested deeper than anybody needs is neither copied, pulled nor loaded, and its end is not asked for', async () => {
    const [engine, registry] = [await newEngine(), await newRegistry()]
    const documents = nest(10_000)
    const top = documents.at(-1) ?? manifest(0)
    const name = publish(registry, documents.slice(-20), top)
    expect(await failureOf(copyAll(engine, `docker://${name}`, `oci:${join(folder, 'deep')}`))).toMatchObject({ code: 'OCI_MALFORMED_DOCUMENT' })
    expect(await failureOf(pullImage(engine, { name, platform }, createTask()))).toMatchObject({ code: 'OCI_MALFORMED_DOCUMENT' })
    expect(registry.requests('GET', /manifests/u).length).toBeLessThan(20)
    const layout = archive(file('oci-layout', '{"imageLayoutVersion":"1.0.0"}'), file('index.json', JSON.stringify({ schemaVersion: 2, manifests: [top.descriptor] })),
      ...documents.slice(-20).map(({ bytes, descriptor }) => file(`blobs/sha256/${descriptor.digest.slice(7)}`, bytes.toString())))
    expect(await failureOf(loadImages(engine, { archive: Readable.from([layout]), platform }, createTask()))).toMatchObject({ code: 'BUILDER_MALFORMED_ARCHIVE' })
    expect(engine.store.images.list()).toEqual([])
  })

  it('with more manifests than any image has is given up after some, of a pull only the one chosen is asked for', async () => {
    const [engine, registry] = [await newEngine(), await newRegistry()]
    const children = Array.from({ length: 3000 }, (_, number) => manifest(number))
    const name = publish(registry, children, index(children))
    expect(await failureOf(copyAll(engine, `docker://${name}`, `oci:${join(folder, 'wide')}`))).toMatchObject({ code: 'OCI_MALFORMED_DOCUMENT' })
    expect(registry.requests('GET', /manifests/u).length).toBeLessThan(1100)
    registry.log.length = 0
    await pullImage(engine, { name, platform }, createTask())
    expect(registry.requests('GET', /manifests/u)).toHaveLength(2)
  })

  it('that names one manifest a thousand times has it fetched once, and so a layer', async () => {
    const [engine, registry] = [await newEngine(), await newRegistry()]
    const diffIds = Array.from({ length: 100 }, () => sha256(layer))
    const many = Buffer.from(JSON.stringify({ ...platform, config: {}, rootfs: { type: 'layers', diff_ids: diffIds } }))
    registry.blobs.set(sha256(many), many)
    const child = encode({ config: describeBytes(many, mediaTypes.ociConfig), layers: diffIds.map(() => describeBytes(layer)) }, mediaTypes.ociManifest)
    const name = publish(registry, [child], index(Array.from({ length: 1000 }, () => child)))
    await copyAll(engine, `docker://${name}`, `oci:${join(folder, 'same')}`)
    expect(registry.requests('GET', /manifests/u)).toHaveLength(2)
    expect(registry.requests('GET', /blobs/u)).toHaveLength(2)
    await pullImage(engine, { name, platform }, createTask())
    expect(registry.requests('GET', /blobs/u)).toHaveLength(4)
  })
})

describe('a pull', () => {
  it('of layers larger than what is free fetches none of them', async () => {
    const [engine, registry] = [await newEngine(), await newRegistry()]
    const { bavail, bsize } = statfsSync(folder)
    const name = publish(registry, [], manifest(0, [{ ...describeBytes(layer), size: bavail * bsize + 2 ** 30 }]))
    expect(await failureOf(pullImage(engine, { name, platform }, createTask()))).toMatchObject({ code: 'BUILDER_NO_ROOM', neededBytes: bavail * bsize + 2 ** 30 })
    expect(registry.requests('GET', new RegExp(sha256(layer), 'u'))).toEqual([])
  })

  it('takes a layer from the next place when the first has other bytes, and says so when that was the only one', async () => {
    const [origin, mirror] = [await newRegistry(), await newRegistry()]
    for (const registry of [origin, mirror]) publish(registry, [], manifest(0))
    const wrong = Buffer.from(layer)
    wrong.write('y', 512)
    mirror.blobs.set(sha256(layer), wrong)
    const conf = join(folder, 'mirror.conf')
    writeFileSync(conf, `[[registry]]\nlocation = "${origin.host}"\ninsecure = true\n[[registry.mirror]]\nlocation = "${mirror.host}"\ninsecure = true\n`)
    const engine = await openEngine({ root: join(folder, 'mirrored'), env: { HOME: folder, CONTAINERS_REGISTRIES_CONF: conf } })
    open.push(engine)
    const name = `${origin.host}/app:x`
    expect((await pullImage(engine, { name, platform }, createTask())).names).toEqual([name])
    expect(origin.requests('GET', new RegExp(sha256(layer), 'u'))).toHaveLength(1)
    expect(await failureOf(pullImage(await newEngine(), { name: `${mirror.host}/app:x`, platform }, createTask()))).toMatchObject({ code: 'REGISTRY_WRONG_CONTENT', host: mirror.host })
  })

  it('names an image as it was asked for, whatever the image says of its name', async () => {
    const [engine, registry] = [await newEngine(), await newRegistry()]
    const annotations = { 'org.opencontainers.image.ref.name': 'docker.io/library/debian:bookworm', 'io.containerd.image.name': 'docker.io/library/debian:bookworm' }
    const claiming = encode({ config: describeBytes(config, mediaTypes.ociConfig), layers: [{ ...describeBytes(layer), annotations }], annotations }, mediaTypes.ociManifest)
    const name = publish(registry, [claiming], encode({ manifests: [{ ...claiming.descriptor, platform, annotations }], annotations }, mediaTypes.ociIndex))
    expect((await pullImage(engine, { name, platform }, createTask())).names).toEqual([name])
    await copyAll(engine, `docker://${name}`, `oci-archive:${join(folder, 'claiming.tar')}:debian:bookworm`)
    await copyImage(engine, { from: parseLocation(`oci-archive:${join(folder, 'claiming.tar')}`), to: parseLocation('tsbuild:mine:1'), platform, blobs: usualBlobs, maxConcurrent: 1 }, createTask())
    expect(engine.store.images.list().flatMap(({ names }) => names).sort()).toEqual([name, 'docker.io/library/mine:1'].sort())
  })
})

describe('a layout', () => {
  const only = manifest(0)
  const entry = only.descriptor

  /** With this index, as a folder and as an archive beside it. */
  function writeLayout(index: object): string {
    const from = join(folder, `layout-${count += 1}`)
    const files: Record<string, Buffer | string> = { 'oci-layout': '{"imageLayoutVersion":"1.0.0"}', 'index.json': JSON.stringify({ schemaVersion: 2, ...index }) }
    for (const bytes of [only.bytes, config, layer]) files[`blobs/sha256/${sha256(bytes).slice(7)}`] = bytes
    mkdirSync(join(from, 'blobs/sha256'), { recursive: true })
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(from, name), bytes)
    writeFileSync(`${from}.tar`, archive(...Object.entries(files).map(([name, bytes]) => file(name, bytes.toString('latin1')))))
    return from
  }

  it.each([
    ['more in its index.json than any index has', { manifests: [entry], annotations: { filler: 'x'.repeat(4 * 1024 * 1024) } }],
    ['a digest that is a path', { manifests: [{ ...entry, digest: 'sha256:../../../../../../etc/passwd' }] }],
    ['a manifest too big to be one', { manifests: [{ ...entry, size: 2 ** 30 }] }],
    ['a manifest of another size', { manifests: [{ ...entry, size: entry.size - 1 }] }],
  ])('with %s is refused as a folder and as an archive', async (_, index) => {
    const engine = await newEngine()
    const from = writeLayout(index)
    const refused = { code: expect.stringMatching(/^(?:OCI|BUILDER|STORAGE)_/u) as string }
    for (const source of [`oci:${from}`, `oci-archive:${from}.tar`]) expect(await failureOf(copyAll(engine, source, `oci:${from}-copy`))).toMatchObject(refused)
    expect(await failureOf(loadImages(engine, { archive: Readable.from([readFileSync(`${from}.tar`)]), platform }, createTask()))).toMatchObject(refused)
    expect([existsSync(`${from}-copy/index.json`), engine.store.images.list()]).toEqual([false, []])
  })

  it('that is sound is taken as both', async () => {
    const engine = await newEngine()
    const from = writeLayout({ manifests: [entry] })
    for (const source of [`oci:${from}`, `oci-archive:${from}.tar`]) await copyAll(engine, source, `oci:${from}-copy`)
    expect(await loadImages(engine, { archive: Readable.from([readFileSync(`${from}.tar`)]), platform }, createTask())).toHaveLength(1)
  })
})

describe('an archive of docker save', () => {
  const imageConfig = `${sha256(config).slice(7)}.json`
  const list = (entry: object): Buffer => file('manifest.json', JSON.stringify([{ Config: imageConfig, RepoTags: ['app:1'], Layers: ['layer.tar'], ...entry }]))
  const good = [file(imageConfig, config.toString()), file('layer.tar', layer.toString('latin1'))]

  it.each([
    ['a layer outside', [...good, list({ Layers: ['../../../../../../etc/passwd'] })]],
    ['an absolute layer', [...good, list({ Layers: ['/etc/passwd'] })]],
    ['a config outside', [...good, list({ Config: '../../../../../../etc/passwd' })]],
    ['a link to a config outside', [symlink('config.json', '/etc/passwd'), ...good, list({ Config: 'config.json' })]],
    ['a link to a layer outside', [symlink('away', '../../../../../../etc/passwd'), ...good, list({ Layers: ['away'] })]],
    ['a hard link to a layer outside', [hardLink('away', '/etc/passwd'), ...good, list({ Layers: ['away'] })]],
    ['links in a circle', [symlink('one', 'two'), symlink('two', 'one'), ...good, list({ Layers: ['one'] })]],
    ['a file twice', [...good, file('layer.tar', 'other'), list({})]],
    ['a file behind a link of its name', [...good, symlink('layer.tar', '/etc/passwd'), list({})]],
    ['two lists', [...good, list({}), list({ RepoTags: ['other:1'] })]],
  ])('with %s is refused', async (_, entries) => {
    const engine = await newEngine()
    expect(await failureOf(loadImages(engine, { archive: Readable.from([archive(...entries)]), platform }, createTask()))).toMatchObject({ code: 'BUILDER_MALFORMED_ARCHIVE' })
    expect(engine.store.images.list()).toEqual([])
    expect((await fsck(engine.store, createTask())).findings).toEqual([])
  })

  it.each(['../../x', '/x', 'a b', 'x\n', ''])('with the tag %j is refused', async (tag) => {
    const engine = await newEngine()
    expect(await failureOf(loadImages(engine, { archive: Readable.from([archive(...good, list({ RepoTags: [tag] }))]), platform }, createTask()))).toMatchObject({ code: 'REGISTRY_MALFORMED_REFERENCE' })
    expect(engine.store.images.list()).toEqual([])
  })

  it('is read through links within it', async () => {
    const engine = await newEngine()
    const [image] = await loadImages(engine, { archive: Readable.from([archive(symlink('folder/away', '../layer.tar'), ...good, list({ Layers: ['folder/away'] }))]), platform }, createTask())
    expect(image?.names).toEqual(['docker.io/library/app:1'])
  })
})
