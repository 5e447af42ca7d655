import { describe, expect, it } from 'vitest'
import { createTestClient } from '../test/support/client.ts'
import type { TestImage } from '../test/support/images.ts'
import { appOf, collect, createImage, describeBytes, publish, serveManifest, sourceOf } from '../test/support/images.ts'
import type { TestRegistry } from '../test/support/registry.ts'
import { digestOf, reply, startRegistry } from '../test/support/registry.ts'
import { failureOf, recordingTask } from '../test/support/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { mediaTypes } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { MalformedDocument, UnsupportedMediaType } from '../oci/errors.ts'
import type { ImageIndex } from '../oci/manifest.ts'
import type { RemoteImage } from './client.ts'
import { PlatformUnavailable, WrongContent } from './errors.ts'
import { pullImage } from './pull.ts'
import { pushImage } from './push.ts'

const image = createImage()
const amd64 = { os: 'linux', architecture: 'amd64' }
const task = recordingTask()
const pull = (registry: TestRegistry, platform = amd64): Promise<RemoteImage> => pullImage(createTestClient({ insecure: [registry.host] }), { reference: appOf(registry), platform }, task)

function put(registry: TestRegistry, part: TestImage): Descriptor {
  publish(registry, part, { repository: 'app', tag: 'part' })
  return part.manifest.descriptor
}

const indexOf = (...manifests: unknown[]): unknown => ({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests })

describe('pullImage', () => {
  it('pulls what pushImage pushed, byte for byte', async () => {
    await using registry = await startRegistry()
    const client = createTestClient({ insecure: [registry.host] })
    const pushed = createImage({ layerBytes: [10, 2_000_000] })
    await pushImage(client, { reference: appOf(registry), manifest: pushed.manifest, source: sourceOf(pushed.blobs), maxConcurrentUploads: 3 }, task)
    const pulled = await pullImage(client, { reference: appOf(registry), platform: amd64 }, task)
    expect(pulled.target).toEqual(pushed.manifest.descriptor)
    expect(Buffer.from(pulled.manifest.bytes).equals(pushed.manifest.bytes)).toBe(true)
    expect(Buffer.from(pulled.configBytes).equals(pushed.blobs.get(pushed.config.digest) ?? Buffer.alloc(0))).toBe(true)
    for (const layer of pushed.layers) expect((await collect(client.fetchBlob(appOf(registry), layer, task))).equals(pushed.blobs.get(layer.digest) ?? Buffer.alloc(0))).toBe(true)
  })

  it('chooses the platform before it fetches anything of an index', async () => {
    await using registry = await startRegistry()
    const arm = createImage({ platform: { os: 'linux', architecture: 'arm64' } })
    const entries = [{ ...put(registry, arm), platform: { os: 'linux', architecture: 'arm64' } }, { ...put(registry, image), platform: amd64 }]
    const target = serveManifest(registry, indexOf(...entries), mediaTypes.ociIndex)
    const pulled = await pull(registry)
    expect(pulled).toMatchObject({ target, manifest: { descriptor: image.manifest.descriptor } })
    expect(registry.requests('GET', /manifests/u)).toHaveLength(2)
  })

  it('names what an index offers when it has nothing for the platform', async () => {
    await using registry = await startRegistry()
    const entries = ['arm64', 's390x'].map((architecture) => ({ ...put(registry, createImage()), platform: { os: 'linux', architecture } }))
    serveManifest(registry, indexOf(...entries, { ...put(registry, createImage()), platform: { os: 'unknown', architecture: 'unknown' } }), mediaTypes.ociIndex)
    const failure = await failureOf(pull(registry))
    expect(failure).toBeInstanceOf(PlatformUnavailable)
    expect(failure).toMatchObject({ wanted: 'linux/amd64', available: ['linux/arm64', 'linux/s390x'] })
  })

  it('refuses a single image for another platform', async () => {
    await using registry = await startRegistry()
    const arm = createImage({ platform: { os: 'linux', architecture: 'arm64' } })
    publish(registry, arm, { repository: 'app', tag: '1' })
    expect(await failureOf(pull(registry))).toMatchObject({ code: 'REGISTRY_PLATFORM_UNAVAILABLE', available: ['linux/arm64'] })
  })

  it('goes no deeper than a few indexes in indexes', async () => {
    await using registry = await startRegistry()
    let inner: Descriptor = put(registry, image)
    for (let depth = 0; depth < 6; depth += 1) inner = serveManifest(registry, indexOf({ ...inner, platform: amd64 }), mediaTypes.ociIndex)
    expect(await failureOf(pull(registry))).toBeInstanceOf(MalformedDocument)
    expect(registry.requests('GET', /manifests/u)).toHaveLength(5)
  })

  it('ends with an index that seems to contain itself', async () => {
    await using registry = await startRegistry()
    const self: ImageIndex = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [{ mediaType: mediaTypes.ociIndex, digest: `sha256:${'a'.repeat(64)}` as Digest, size: 100, platform: amd64 }] }
    registry.on({ method: 'GET', path: /manifests/u }, ({ response }) => { reply(response, { status: 200, headers: { 'content-type': mediaTypes.ociIndex }, body: JSON.stringify(self) }) })
    expect(await failureOf(pull(registry))).toBeInstanceOf(WrongContent)
  })

  it.each([
    ['size', { size: 1 }], ['media type', { mediaType: mediaTypes.dockerManifest }],
  ])('refuses an index whose %s of an entry is wrong', async (_, change) => {
    await using registry = await startRegistry()
    serveManifest(registry, indexOf({ ...put(registry, image), ...change, platform: amd64 }), mediaTypes.ociIndex)
    expect(await failureOf(pull(registry))).toBeInstanceOf(MalformedDocument)
  })

  it.each([
    ['config of an artifact', { config: { ...image.config, mediaType: 'application/vnd.example+json' } }, UnsupportedMediaType],
    ['config that is no config', { config: describeBytes(Buffer.from('{}'), mediaTypes.ociConfig) }, MalformedDocument],
    ['config of another number of layers', { layers: [...image.layers, ...image.layers] }, MalformedDocument],
    ['config too big to be one', { config: { ...image.config, size: 5_000_000 } }, MalformedDocument],
    ['layer of an unknown kind', { layers: [{ ...image.layers[0], mediaType: 'application/x-rar' }] }, UnsupportedMediaType],
    ['foreign layer', { layers: [{ ...image.layers[0], mediaType: mediaTypes.dockerForeignLayer, urls: ['http://evil.test/'] }] }, UnsupportedMediaType],
  ])('refuses a %s', async (_, change, kind) => {
    await using registry = await startRegistry()
    put(registry, image)
    registry.blobs.set(digestOf('{}'), Buffer.from('{}'))
    serveManifest(registry, { ...JSON.parse(image.manifest.bytes.toString()) as object, ...change })
    const failure = await failureOf(pull(registry))
    expect(failure).toBeInstanceOf(kind)
    expect(String(failure)).toContain(`"${registry.host}" sent this for "${registry.host}/app:1"`)
  })

  it('takes no content from a descriptor, whatever it says of itself', async () => {
    await using registry = await startRegistry()
    put(registry, image)
    const embedded = { ...image.config, data: Buffer.from('{"os":"evil"}').toString('base64') }
    serveManifest(registry, { ...JSON.parse(image.manifest.bytes.toString()) as object, config: embedded })
    expect(Buffer.from((await pull(registry)).configBytes).equals(image.blobs.get(image.config.digest) ?? Buffer.alloc(0))).toBe(true)
  })

  it('takes the config from another place when one sent wrong bytes', async () => {
    await using registry = await startRegistry()
    await using mirror = await startRegistry()
    for (const place of [registry, mirror]) publish(place, image, { repository: 'app', tag: '1' })
    mirror.on({ path: /blobs/u }, ({ response }) => { reply(response, { status: 200, body: Buffer.alloc(image.config.size) }) })
    const client = createTestClient({ rules: [{ prefix: registry.host, location: registry.host, isInsecure: true, isBlocked: false, path: 'test', mirrors: [{ location: mirror.host, isInsecure: true, pullFrom: 'all' }] }] })
    expect((await pullImage(client, { reference: appOf(registry), platform: amd64 }, task)).configBytes.byteLength).toBe(image.config.size)
  })
})
