import { describe, expect, it } from 'vitest'
import { createTestClient } from '../test/support/client.ts'
import type { TestImage } from '../test/support/images.ts'
import { appOf, collect, createImage, describeBytes, publish, sourceOf } from '../test/support/images.ts'
import type { TestRegistry } from '../test/support/registry.ts'
import { answer, digestOf, reply, startRegistry } from '../test/support/registry.ts'
import { failureOf, recordingTask } from '../test/support/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { mediaTypes } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { parseDigest } from '../oci/digest.ts'
import { MalformedDocument, UnsupportedMediaType } from '../oci/errors.ts'
import type { ImageIndex } from '../oci/manifest.ts'
import type { FetchedManifest, RemoteImage } from './client.ts'
import { InvalidAnswer, ManifestUnknown, PlatformUnavailable, WrongContent } from './errors.ts'
import { pullImage } from './pull.ts'
import { pushImage } from './push.ts'
import type { Reference } from './reference.ts'
import { selectPlatform } from './select-platform.ts'

const image = createImage()
const amd64 = { os: 'linux', architecture: 'amd64' }
const task = recordingTask()
const pull = (registry: TestRegistry, platform = amd64): Promise<RemoteImage> => pullImage(createTestClient({ insecure: [registry.host] }), { reference: appOf(registry), platform }, task)

/** Serves a document as the manifest `app:1`, and by its digest. */
function serve(registry: TestRegistry, document: unknown, mediaType: string = mediaTypes.ociManifest): Descriptor {
  const bytes = typeof document === 'string' ? Buffer.from(document) : Buffer.from(JSON.stringify(document))
  for (const key of ['1', digestOf(bytes)]) registry.manifests.set(`app ${key}`, { bytes, mediaType })
  return describeBytes(bytes, mediaType)
}

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
    const target = serve(registry, indexOf(...entries), mediaTypes.ociIndex)
    const pulled = await pull(registry)
    expect(pulled).toMatchObject({ target, manifest: { descriptor: image.manifest.descriptor } })
    expect(registry.requests('GET', /manifests/u)).toHaveLength(2)
  })

  it('names what an index offers when it has nothing for the platform', async () => {
    await using registry = await startRegistry()
    const entries = ['arm64', 's390x'].map((architecture) => ({ ...put(registry, createImage()), platform: { os: 'linux', architecture } }))
    serve(registry, indexOf(...entries, { ...put(registry, createImage()), platform: { os: 'unknown', architecture: 'unknown' } }), mediaTypes.ociIndex)
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
    for (let depth = 0; depth < 6; depth += 1) inner = serve(registry, indexOf({ ...inner, platform: amd64 }), mediaTypes.ociIndex)
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
    serve(registry, indexOf({ ...put(registry, image), ...change, platform: amd64 }), mediaTypes.ociIndex)
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
    serve(registry, { ...JSON.parse(image.manifest.bytes.toString()) as object, ...change })
    const failure = await failureOf(pull(registry))
    expect(failure).toBeInstanceOf(kind)
    expect(String(failure)).toContain(`"${registry.host}" sent this for "${registry.host}/app:1"`)
  })

  it('takes no content from a descriptor, whatever it says of itself', async () => {
    await using registry = await startRegistry()
    put(registry, image)
    const embedded = { ...image.config, data: Buffer.from('{"os":"evil"}').toString('base64') }
    serve(registry, { ...JSON.parse(image.manifest.bytes.toString()) as object, config: embedded })
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

describe('a manifest', () => {
  const manifest = image.manifest.bytes.toString()
  const fetch1 = async (registry: TestRegistry, change: Partial<Reference> = {}): Promise<FetchedManifest> => createTestClient({ insecure: [registry.host] }).fetchManifest({ ...appOf(registry), ...change }, task)

  it('is asked for in the kinds we understand, without schema 1', async () => {
    await using registry = await startRegistry()
    put(registry, image)
    serve(registry, manifest)
    await fetch1(registry)
    const accept = registry.requests('GET', /manifests/u)[0]?.headers.accept
    expect(accept?.split(', ')).toEqual([mediaTypes.ociIndex, mediaTypes.ociManifest, mediaTypes.dockerIndex, mediaTypes.dockerManifest])
  })

  it.each([
    ['0 bytes', ''],
    ['no JSON', 'x'],
    ['NaN', manifest.replace(/"size":\d+/u, '"size":NaN')],
    ['a byte order mark', `\ufeff${manifest}`],
    ['trailing junk', `${manifest}x`],
    ['a key twice', manifest.replace('{', '{"mediaType":"x",')],
    ['a key in two cases', manifest.replace('{', '{"MediaType":"x",')],
    ['__proto__', manifest.replace('{', '{"__proto__":{},')],
    ['both kinds', manifest.replace('{', '{"manifests":[],')],
    ['deep nesting', '['.repeat(1_000_000)],
    ['a size beyond 2^53', manifest.replace(/"size":\d+/u, '"size":9007199254740993')],
    ['a negative size', manifest.replace(/"size":\d+/u, '"size":-1')],
    ['a broken size', manifest.replace(/"size":\d+/u, '"size":1.5')],
    ['layers that are no list', manifest.replace(/"layers":.*\]/u, '"layers":{}')],
    ['layers that are null', manifest.replace(/"layers":.*\]/u, '"layers":null')],
    ['a digest that is a path', manifest.replace(/sha256:[a-f0-9]+/u, 'sha256:../../../../x')],
    ['a digest in capitals', manifest.replace(/sha256:[a-f0-9]+/u, `sha256:${'A'.repeat(64)}`)],
    ['a digest of md5', manifest.replace(/sha256:[a-f0-9]+/u, `md5:${'a'.repeat(32)}`)],
    ['a digest with a query', manifest.replace(/(sha256:[a-f0-9]+)/u, '$1?x#y')],
    ['a subject with such a digest', manifest.replace('{', '{"subject":{"mediaType":"x","digest":"sha256:../x","size":1},')],
  ])('with %s is refused', async (_, text) => {
    await using registry = await startRegistry()
    serve(registry, text)
    const failure = await failureOf(fetch1(registry))
    expect(failure).toBeInstanceOf(MalformedDocument)
    expect(String(failure)).toContain(`"${registry.host}" sent this for "${registry.host}/app:1"`)
  })

  it('in UTF-16 is refused', async () => {
    await using registry = await startRegistry()
    registry.manifests.set('app 1', { bytes: Buffer.from(manifest, 'utf16le'), mediaType: mediaTypes.ociManifest })
    expect(await failureOf(fetch1(registry))).toBeInstanceOf(MalformedDocument)
  })

  it.each([4 * 1024 * 1024 + 1, 1024 ** 3])('of %d bytes is refused before it is read whole', async (sizeBytes) => {
    await using registry = await startRegistry()
    let sentBytes = 0
    registry.on({ path: /manifests/u }, ({ response }) => {
      response.writeHead(200, { 'content-type': mediaTypes.ociManifest })
      const more = (): void => {
        while (sentBytes < sizeBytes) {
          const chunk = Buffer.alloc(Math.min(65536, sizeBytes - sentBytes), ' ')
          sentBytes += chunk.byteLength
          if (!response.write(chunk)) return
        }
        response.end()
      }
      response.on('drain', more)
      more()
    })
    expect(await failureOf(fetch1(registry))).toBeInstanceOf(InvalidAnswer)
    expect(sentBytes).toBeLessThan(100 * 1024 * 1024)
  })

  it.each([
    ['says another kind than the answer', mediaTypes.dockerManifest],
    ['is called an index', mediaTypes.ociIndex],
  ])('that %s is refused', async (_, mediaType) => {
    await using registry = await startRegistry()
    serve(registry, manifest, mediaType)
    expect(await failureOf(fetch1(registry))).toBeInstanceOf(MalformedDocument)
  })

  it.each(['application/vnd.docker.distribution.manifest.v1+prettyjws', 'application/vnd.docker.distribution.manifest.v1+json', 'application/json'])('of schema 1 as %s is refused with the reason', async (mediaType) => {
    await using registry = await startRegistry()
    serve(registry, '{"schemaVersion":1,"name":"app","tag":"1","fsLayers":[]}', mediaType)
    const failure = await failureOf(fetch1(registry))
    expect(failure).toBeInstanceOf(UnsupportedMediaType)
    expect(String(failure)).toContain('schema 1')
    expect(String(failure)).toContain(registry.host)
  })

  it('is told from a web page', async () => {
    await using registry = await startRegistry()
    registry.on({ path: /manifests/u }, answer(200, { 'content-type': 'text/html; charset=utf-8' }, '<html>Log in</html>'))
    expect(String(await failureOf(fetch1(registry)))).toContain('a web page; is there a registry at this address?')
  })

  it.each(['application/json', `${mediaTypes.ociManifest}; charset=utf-8`, mediaTypes.ociManifest.toUpperCase()])('is read when its content type is %s', async (mediaType) => {
    await using registry = await startRegistry()
    serve(registry, manifest, mediaType)
    expect((await fetch1(registry)).descriptor).toEqual(image.manifest.descriptor)
  })

  it.each(['gzip', 'br'])('in content coding %s is refused', async (coding) => {
    await using registry = await startRegistry()
    registry.on({ path: /manifests/u }, answer(200, { 'content-type': mediaTypes.ociManifest, 'content-encoding': coding }, manifest))
    expect(await failureOf(fetch1(registry))).toBeInstanceOf(InvalidAnswer)
  })

  it('whose bytes are not those of the digest it states is refused', async () => {
    await using registry = await startRegistry()
    registry.on({ path: /manifests/u }, answer(200, { 'content-type': mediaTypes.ociManifest, 'docker-content-digest': `sha256:${'0'.repeat(64)}` }, manifest))
    expect(await failureOf(fetch1(registry))).toBeInstanceOf(WrongContent)
  })

  it('that states no digest is known by its bytes', async () => {
    await using registry = await startRegistry()
    registry.on({ path: /manifests/u }, answer(200, { 'content-type': mediaTypes.ociManifest }, manifest))
    expect((await fetch1(registry)).descriptor).toEqual(image.manifest.descriptor)
    expect(await createTestClient({ insecure: [registry.host] }).resolve(appOf(registry), task)).toEqual(image.manifest.descriptor)
  })

  it.each(['tag and digest', 'digest'])('pinned by %s is fetched by the digest, and nothing else is taken for it', async (pinning) => {
    await using registry = await startRegistry()
    put(registry, image)
    const other = createImage()
    registry.manifests.set('app 1', other.manifest)
    const pin = { digest: image.manifest.descriptor.digest, ...(pinning === 'digest' ? { tag: undefined } : {}) }
    expect((await fetch1(registry, pin)).bytes).toEqual(image.manifest.bytes)
    registry.manifests.set(`app ${pin.digest}`, other.manifest)
    expect(await failureOf(fetch1(registry, pin))).toMatchObject({ code: expect.stringMatching(/REGISTRY_(?:WRONG_CONTENT|INVALID_ANSWER)/u) as string })
    registry.on({ path: /manifests/u }, answer(200, { 'content-type': mediaTypes.ociManifest }, other.manifest.bytes))
    expect(await failureOf(fetch1(registry, pin))).toBeInstanceOf(WrongContent)
  })

  it('pinned by sha512 is verified so', async () => {
    await using registry = await startRegistry()
    const { createHash } = await import('node:crypto')
    const digest = parseDigest(`sha512:${createHash('sha512').update(image.manifest.bytes).digest('hex')}`)
    registry.manifests.set(`app ${digest}`, image.manifest)
    expect((await fetch1(registry, { digest })).descriptor.digest).toBe(digest)
    registry.manifests.set(`app ${digest}`, createImage().manifest)
    expect(await failureOf(fetch1(registry, { digest }))).toBeInstanceOf(WrongContent)
  })

  it('that is not there is unknown', async () => {
    await using registry = await startRegistry()
    expect(await failureOf(fetch1(registry))).toBeInstanceOf(ManifestUnknown)
  })
})

describe('resolve', () => {
  it('asks by HEAD only', async () => {
    await using registry = await startRegistry()
    publish(registry, image, { repository: 'app', tag: '1' })
    const client = createTestClient({ insecure: [registry.host] })
    expect(await client.resolve(appOf(registry), task)).toEqual(image.manifest.descriptor)
    expect(await client.resolve({ ...appOf(registry), tag: '2' }, task)).toBeUndefined()
    expect(registry.requests('GET', /manifests/u)).toEqual([])
  })

  it.each([`sha256:../x`, 'md5:0', `sha256:${'0'.repeat(64)}`])('does not believe that a pinned manifest has digest %s', async (stated) => {
    await using registry = await startRegistry()
    registry.on({ path: /manifests/u }, answer(200, { 'content-type': mediaTypes.ociManifest, 'docker-content-digest': stated }))
    const pinned = { ...appOf(registry), digest: image.manifest.descriptor.digest }
    expect(await failureOf(createTestClient({ insecure: [registry.host] }).resolve(pinned, task))).toBeInstanceOf(InvalidAnswer)
  })
})

describe('selectPlatform', () => {
  const entry = (size: number, platform?: { os: string; architecture: string; variant?: string }, mediaType: string = mediaTypes.ociManifest): Descriptor => ({ mediaType, digest: `sha256:${'a'.repeat(64)}` as Digest, size, ...(platform === undefined ? {} : { platform }) })
  const choose = (wanted: { os: string; architecture: string; variant?: string }, ...manifests: Descriptor[]): number | undefined => selectPlatform({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }, wanted)?.size

  it('takes the first of equals', () => {
    expect(choose(amd64, entry(1, amd64), entry(2, amd64))).toBe(1)
  })

  it('takes the highest variant that runs', () => {
    const arm = (variant: string): { os: string; architecture: string; variant: string } => ({ os: 'linux', architecture: 'arm', variant })
    expect(choose(arm('v7'), entry(5, arm('v5')), entry(6, arm('v6')), entry(8, arm('v8')))).toBe(6)
    expect(choose(arm('v6'), entry(7, arm('v7')))).toBeUndefined()
    expect(choose({ os: 'linux', architecture: 'amd64' }, entry(3, { ...amd64, variant: 'v3' }), entry(1, amd64))).toBe(1)
  })

  it('passes over attestations and what is no image', () => {
    expect(choose(amd64, entry(1, { os: 'unknown', architecture: 'unknown' }), entry(2, amd64, 'application/vnd.example'), entry(3, amd64))).toBe(3)
    expect(choose(amd64, entry(1, { os: 'unknown', architecture: 'unknown' }))).toBeUndefined()
  })

  it('takes an entry that names no platform only where it is alone', () => {
    expect(choose(amd64, entry(1), entry(2, { os: 'unknown', architecture: 'unknown' }))).toBe(1)
    expect(choose(amd64, entry(1), entry(2))).toBeUndefined()
    expect(choose(amd64, entry(1), entry(2, amd64))).toBe(2)
    expect(choose(amd64)).toBeUndefined()
  })
})
