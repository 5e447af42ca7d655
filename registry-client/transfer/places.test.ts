import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createTestClient, insecureRule } from '../../test/support/client.ts'
import { appOf, collect, createImage, publish } from '../../test/support/images.ts'
import type { TestRegistry } from '../../test/support/registry.ts'
import { answer, cutAfter, startRegistry } from '../../test/support/registry.ts'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import { blob, bytes, pullBlob, rangesOf, startWithBlob } from '../../test/support/transferred-blob.ts'
import type { RegistryRule } from '../config/registries-file.ts'
import { AllPlacesFailed } from '../errors.ts'
import { pullImage } from '../pull.ts'

const task = recordingTask()

describe('mirrors', () => {
  const mirrored = (origin: TestRegistry, ...mirrors: RegistryRule['mirrors']): RegistryRule => ({ ...insecureRule(origin.host), mirrors })
  const mirrorOf = (registry: TestRegistry, pullFrom: 'all' | 'digest-only' | 'tag-only' = 'all'): RegistryRule['mirrors'][number] => ({ location: `${registry.host}/mirrored`, isInsecure: true, pullFrom })
  const image = createImage({ layerBytes: [100_000] })
  const [layer = image.config] = image.layers

  it('are asked before the registry, under their own path', async () => {
    await using origin = await startRegistry()
    await using mirror = await startRegistry()
    publish(mirror, image, { repository: 'mirrored/app', tag: '1' })
    const client = createTestClient({ rules: [mirrored(origin, mirrorOf(mirror))] })
    await pullImage(client, { reference: appOf(origin), platform: { os: 'linux', architecture: 'amd64' } }, task)
    await collect(client.fetchBlob(appOf(origin), layer, task))
    expect(origin.log).toEqual([])
  })

  it('that lack it, lie or are gone are passed over in order', async () => {
    await using origin = await startRegistry()
    await using lacking = await startRegistry()
    await using lying = await startRegistry()
    const gone = await startRegistry()
    await gone[Symbol.asyncDispose]()
    publish(origin, image, { repository: 'app', tag: '1' })
    lying.on({ path: /manifests/u }, answer(200, { 'content-type': image.manifest.mediaType, 'docker-content-digest': image.manifest.descriptor.digest }, '{}'))
    lying.on({ path: /blobs/u }, answer(500))
    const client = createTestClient({ rules: [mirrored(origin, mirrorOf(lacking), mirrorOf(lying), mirrorOf(gone))] })
    const reference = { ...appOf(origin), digest: image.manifest.descriptor.digest }
    expect((await client.fetchManifest(reference, task)).bytes).toEqual(image.manifest.bytes)
    expect(await collect(client.fetchBlob(reference, layer, task))).toHaveLength(layer.size)
    expect([lacking, lying].map(({ log }) => log.length > 0)).toEqual([true, true])
  })

  it('that all fail are all named, with what went wrong at each', async () => {
    await using origin = await startRegistry()
    await using lacking = await startRegistry()
    await using failing = await startRegistry()
    failing.on({ path: /manifests|blobs/u }, answer(503))
    const client = createTestClient({ rules: [mirrored(origin, mirrorOf(lacking), mirrorOf(failing))] })
    for (const work of [client.fetchManifest(appOf(origin), task), collect(client.fetchBlob(appOf(origin), layer, task))]) {
      const failure = await failureOf(work)
      expect(failure).toBeInstanceOf(AllPlacesFailed)
      expect((failure as AllPlacesFailed).failures.map(({ host, error }) => [host, (error as { code: string }).code])).toEqual([
        [lacking.host, expect.stringMatching(/UNKNOWN$/u)], [failing.host, 'REGISTRY_UNEXPECTED_STATUS'], [origin.host, expect.stringMatching(/UNKNOWN$/u)],
      ])
      for (const host of [lacking.host, failing.host, origin.host]) expect((failure as Error).message).toContain(host)
    }
    expect(await client.resolve(appOf(origin), task)).toBeUndefined()
  })

  it('take over in the middle of a blob', async () => {
    await using origin = await startWithBlob()
    await using mirror = await startRegistry()
    let isFirst = true
    mirror.on({ path: /blobs/u }, (exchange) => {
      if (!isFirst) return answer(500)(exchange)
      isFirst = false
      return cutAfter(2_000_000, bytes, 'fin')(exchange)
    })
    const client = createTestClient({ rules: [mirrored(origin, mirrorOf(mirror))] })
    expect(await pullBlob(origin, client)).toBe(true)
    expect(rangesOf(origin)).toEqual(['bytes=2000000-2999999'])
  })

  it('that sent wrong bytes are asked last from then on', async () => {
    await using origin = await startWithBlob()
    await using mirror = await startRegistry()
    mirror.on({ path: /blobs/u }, answer(200, {}, randomBytes(bytes.byteLength)))
    const client = createTestClient({ rules: [mirrored(origin, mirrorOf(mirror))] })
    expect(await failureOf(pullBlob(origin, client))).toMatchObject({ code: 'REGISTRY_WRONG_CONTENT', host: mirror.host, isWorthRetrying: true })
    expect(await pullBlob(origin, client)).toBe(true)
    expect(mirror.requests('GET', /blobs/u)).toHaveLength(1)
  })

  it('that could not be reached are asked last from then on', async () => {
    await using origin = await startRegistry()
    publish(origin, image, { repository: 'app', tag: '1' })
    await using mirror = await startRegistry()
    mirror.on({ path: /./u }, ({ response }) => { response.socket?.destroy() })
    const client = createTestClient({ rules: [mirrored(origin, mirrorOf(mirror))] })
    await client.fetchManifest(appOf(origin), task)
    const before = mirror.log.length
    await collect(client.fetchBlob(appOf(origin), layer, task))
    expect([before > 0, mirror.log.length - before]).toEqual([true, 0])
  })

  it('serve tags, digests or both, as the configuration says, and blobs always by digest', async () => {
    await using origin = await startRegistry()
    await using digests = await startRegistry()
    await using tags = await startRegistry()
    publish(origin, image, { repository: 'app', tag: '1' })
    const client = createTestClient({ rules: [mirrored(origin, mirrorOf(digests, 'digest-only'), mirrorOf(tags, 'tag-only'))] })
    const { tag, ...rest } = appOf(origin)
    await client.fetchManifest({ ...rest, tag }, task)
    expect([digests.requests('GET', /manifests/u).length, tags.requests('GET', /manifests/u).length]).toEqual([0, 1])
    await client.fetchManifest({ ...rest, tag: undefined, digest: image.manifest.descriptor.digest }, task)
    expect([digests.requests('GET', /manifests/u).length, tags.requests('GET', /manifests/u).length]).toEqual([1, 1])
    await collect(client.fetchBlob({ ...rest, tag }, layer, task))
    expect(digests.requests('GET', /blobs/u)).toHaveLength(1)
  })

  it('are not asked for what the configuration blocks, nor is anybody', async () => {
    await using origin = await startRegistry()
    const client = createTestClient({ rules: [{ ...insecureRule(origin.host), isBlocked: true }] })
    for (const work of [client.fetchManifest(appOf(origin), task), client.resolve(appOf(origin), task), collect(client.fetchBlob(appOf(origin), blob, task)), client.pushManifest(appOf(origin), image.manifest, task)]) {
      expect(await failureOf(work)).toMatchObject({ code: 'REGISTRY_BLOCKED', prefix: origin.host })
    }
    expect(origin.log).toEqual([])
  })

  it('are never pushed to', async () => {
    await using origin = await startRegistry()
    await using mirror = await startRegistry()
    await createTestClient({ rules: [mirrored(origin, mirrorOf(mirror))] }).pushManifest(appOf(origin), image.manifest, task)
    expect(mirror.log).toEqual([])
    expect(origin.manifests.has('app 1')).toBe(true)
  })
})
