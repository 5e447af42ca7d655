import { describe, expect, it } from 'vitest'
import { createTestClient } from '../../test/support/client.ts'
import { appOf, createImage, publish, serveManifest, startWithImage } from '../../test/support/images.ts'
import type { TestRegistry } from '../../test/support/registry.ts'
import { answer, reply, startRegistry } from '../../test/support/registry.ts'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import { parseDigest } from '../../oci/digest.ts'
import { MalformedDocument, UnsupportedMediaType } from '../../oci/errors.ts'
import type { FetchedManifest } from '../client.ts'
import { InvalidAnswer, ManifestUnknown, WrongContent } from '../errors.ts'
import { pullImage } from '../pull.ts'
import type { Reference } from '../reference.ts'

const image = createImage()
const amd64 = { os: 'linux', architecture: 'amd64' }
const task = recordingTask()

describe('a manifest', () => {
  const manifest = image.manifest.bytes.toString()
  const fetch1 = async (registry: TestRegistry, change: Partial<Reference> = {}): Promise<FetchedManifest> => createTestClient({ insecure: [registry.host] }).fetchManifest({ ...appOf(registry), ...change }, task)

  it('is asked for in the kinds we understand, without schema 1', async () => {
    await using registry = await startRegistry()
    publish(registry, image, { repository: 'app', tag: 'part' })
    serveManifest(registry, manifest)
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
    serveManifest(registry, text)
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
    serveManifest(registry, manifest, mediaType)
    expect(await failureOf(fetch1(registry))).toBeInstanceOf(MalformedDocument)
  })

  it.each(['application/vnd.docker.distribution.manifest.v1+prettyjws', 'application/vnd.docker.distribution.manifest.v1+json', 'application/json'])('of schema 1 as %s is refused with the reason', async (mediaType) => {
    await using registry = await startRegistry()
    serveManifest(registry, '{"schemaVersion":1,"name":"app","tag":"1","fsLayers":[]}', mediaType)
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
    serveManifest(registry, manifest, mediaType)
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
    publish(registry, image, { repository: 'app', tag: 'part' })
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

describe('a tag that moves between two requests', () => {
  it('leaves an image of several platforms what it was when its index was read', async () => {
    await using registry = await startRegistry()
    const later = createImage()
    publish(registry, image, { repository: 'app', tag: 'part' })
    const target = serveManifest(registry, { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [{ ...image.manifest.descriptor, platform: amd64 }] }, mediaTypes.ociIndex)
    registry.on({ path: /manifests\/1$/u, times: 1 }, async ({ proceed }) => {
      await proceed()
      publish(registry, later, { repository: 'app', tag: '1' })
    })
    const pulled = await pullImage(createTestClient({ insecure: [registry.host] }), { reference: appOf(registry), platform: amd64 }, task)
    expect([pulled.target, pulled.manifest.descriptor]).toEqual([target, image.manifest.descriptor])
    expect(registry.requests('GET', /manifests\/1$/u)).toHaveLength(1)
  })

  it('leaves what was resolved to be fetched by its digest, or not at all', async () => {
    await using registry = await startWithImage(image)
    const client = createTestClient({ insecure: [registry.host] })
    const found = await client.resolve(appOf(registry), task)
    publish(registry, createImage(), { repository: 'app', tag: '1' })
    const resolved = { ...appOf(registry), digest: found?.digest }
    expect((await client.fetchManifest(resolved, task)).bytes).toEqual(image.manifest.bytes)
    registry.manifests.delete(`app ${image.manifest.descriptor.digest}`)
    expect(await failureOf(client.fetchManifest(resolved, task))).toBeInstanceOf(ManifestUnknown)
  })

  it('is resolved to what GET brings where HEAD says too little, with nothing of what HEAD said', async () => {
    await using registry = await startWithImage(image)
    const later = createImage({ layerBytes: [1, 2] })
    registry.on({ method: 'HEAD', path: /manifests/u }, ({ response }) => {
      publish(registry, later, { repository: 'app', tag: '1' })
      reply(response, { status: 200, headers: { 'docker-content-digest': image.manifest.descriptor.digest } })
    })
    expect(await createTestClient({ insecure: [registry.host] }).resolve(appOf(registry), task)).toEqual(later.manifest.descriptor)
  })
})

describe('pushManifest', () => {
  it('that the registry keeps as something else fails', async () => {
    await using registry = await startRegistry()
    for (const stated of [`sha256:${'0'.repeat(64)}`, 'sha256:../x', 'md5:00']) {
      registry.on({ method: 'PUT', path: /manifests/u }, answer(201, { 'docker-content-digest': stated }))
      expect(await failureOf(createTestClient({ insecure: [registry.host] }).pushManifest(appOf(registry), image.manifest, task))).toBeInstanceOf(InvalidAnswer)
    }
  })

  it('refuses what is no manifest of ours to push before anything is sent', async () => {
    await using registry = await startRegistry()
    const client = createTestClient({ insecure: [registry.host] })
    for (const [text, mediaType] of [['{}', image.manifest.mediaType], ['{"schemaVersion":1}', 'application/vnd.docker.distribution.manifest.v1+json'], [image.manifest.bytes.toString(), 'application/vnd.oci.image.index.v1+json']] as const) {
      expect((await failureOf(client.pushManifest(appOf(registry), { bytes: Buffer.from(text), mediaType }, task)) as { code: string }).code).toMatch(/^OCI_/u)
    }
    expect(registry.log).toEqual([])
  })

  it('by digest goes under its digest, which must be its own', async () => {
    await using registry = await startRegistry()
    const client = createTestClient({ insecure: [registry.host] })
    const untagged = { ...appOf(registry), tag: undefined }
    expect(await client.pushManifest({ ...untagged, digest: image.manifest.descriptor.digest }, image.manifest, task)).toEqual(image.manifest.descriptor)
    expect(registry.requests('PUT', /manifests/u).map(({ path }) => path)).toEqual([`/v2/app/manifests/${image.manifest.descriptor.digest}`])
    expect(await failureOf(client.pushManifest({ ...untagged, digest: image.config.digest }, image.manifest, task))).toMatchObject({ code: 'REGISTRY_WRONG_CONTENT' })
  })
})
