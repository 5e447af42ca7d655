import { describe, expect, it } from 'vitest'
import { createTestClient } from '../../test/support/client.ts'
import { appOf, collect, createImage, sourceOf, startWithImage } from '../../test/support/images.ts'
import { answer, startRegistry } from '../../test/support/registry.ts'
import { settle } from '../../test/support/settle.ts'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import { UnexpectedStatus } from '../errors.ts'
import { pushImage } from '../push.ts'

const image = createImage({ layerBytes: [200_000] })
const [layer = image.config] = image.layers
const task = recordingTask()

describe('a request that meets a passing failure', () => {
  it.each([500, 502, 503, 504, 408])('is repeated after %d, for each step of a pull', async (status) => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u, times: 2 }, answer(status))
    registry.on({ path: /blobs/u, times: 2 }, answer(status))
    const client = createTestClient({ insecure: [registry.host] })
    expect((await client.fetchManifest(appOf(registry), task)).descriptor).toEqual(image.manifest.descriptor)
    expect(await collect(client.fetchBlob(appOf(registry), layer, task))).toHaveLength(200_000)
    expect(registry.requests('GET', /manifests/u)).toHaveLength(3)
  })

  it.each([
    ['POST', /uploads/u], ['PUT', /uploads/u], ['PUT', /manifests/u], ['HEAD', /blobs/u],
  ])('is repeated for %s %s of a push', async (method, path) => {
    await using registry = await startRegistry()
    registry.on({ method, path, times: 2 }, answer(503))
    const client = createTestClient({ insecure: [registry.host] })
    await pushImage(client, { reference: appOf(registry), manifest: image.manifest, source: sourceOf(image.blobs), maxConcurrentUploads: 1 }, task)
    expect(registry.manifests.get('app 1')?.bytes).toEqual(image.manifest.bytes)
    expect(registry.blobs.get(layer.digest)?.byteLength).toBe(200_000)
  })

  it('is given up after the usual number of tries, with status, codes and explanation', async () => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u }, answer(503, { 'content-type': 'application/json' }, '{"errors":[{"code":"UNAVAILABLE","message":"down for\\u001b[31m repair\\n"}]}'))
    const failure = await failureOf(createTestClient({ insecure: [registry.host] }).fetchManifest(appOf(registry), task))
    expect(failure).toBeInstanceOf(UnexpectedStatus)
    expect(failure).toMatchObject({ status: 503, host: registry.host, registryCodes: ['UNAVAILABLE'] })
    expect((failure as Error).message).toBe(`cannot read manifest "${registry.host}/app:1": "${registry.host}" answered 503 (UNAVAILABLE: down for [31m repair)`)
    expect(registry.requests('GET', /manifests/u)).toHaveLength(3)
  })

  it.each([400, 404, 405, 410, 416, 501])('is not repeated after %d', async (status) => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u }, answer(status))
    await failureOf(createTestClient({ insecure: [registry.host] }).fetchManifest(appOf(registry), task))
    expect(registry.requests('GET', /manifests/u)).toHaveLength(1)
  })

  it('stops waiting when the caller gives up', async () => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u }, answer(503, { 'retry-after': '1' }))
    const controller = new AbortController()
    const reason = new Error('enough')
    setTimeout(() => { controller.abort(reason) }, 50)
    expect(await failureOf(createTestClient({ insecure: [registry.host] }).fetchManifest(appOf(registry), recordingTask(controller.signal)))).toBe(reason)
  })
})

describe('a registry that asks for patience', () => {
  it('is not asked again before the time it named, by no request', async () => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u, times: 1 }, answer(429, { 'retry-after': '1' }))
    const client = createTestClient({ insecure: [registry.host] })
    await client.fetchBlob(appOf(registry), layer, task)[Symbol.asyncIterator]().next()
    const manifest = client.fetchManifest(appOf(registry), task)
    await expect.poll(() => registry.requests('GET', /manifests/u).length).toBe(1)
    await settle(20)
    await Promise.all([manifest, collect(client.fetchBlob(appOf(registry), image.config, task)), client.resolve(appOf(registry), task)])
    const [refused, ...later] = registry.log.slice(registry.log.findIndex(({ path }) => path.includes('manifests')))
    expect(later.length).toBeGreaterThanOrEqual(3)
    for (const request of later) expect(request.atMs - (refused?.atMs ?? 0)).toBeGreaterThan(950)
  })

  it.each(['-1', 'soon', ''])('with Retry-After %j is asked again soon', async (text) => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u, times: 2 }, answer(429, { 'retry-after': text }))
    expect((await createTestClient({ insecure: [registry.host] }).fetchManifest(appOf(registry), task)).bytes).toEqual(image.manifest.bytes)
  })

  it('for longer than a little while ends the request at once', async () => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u, times: 1 }, answer(503, { 'retry-after': '2' }))
    expect(await failureOf(createTestClient({ insecure: [registry.host] }).fetchManifest(appOf(registry), task))).toMatchObject({ status: 503, retryAfterMs: 2000 })
  })

  it.each(['1000000000000', new Date(Date.now() + 3_600_000).toUTCString()])('for longer than we have (%s) ends the request at once, and the error says for how long', async (text) => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u }, answer(429, { 'retry-after': text }))
    const failure = await failureOf(createTestClient({ insecure: [registry.host] }).fetchManifest(appOf(registry), task))
    expect(failure).toMatchObject({ code: 'REGISTRY_UNEXPECTED_STATUS', status: 429 })
    expect((failure as UnexpectedStatus).retryAfterMs).toBeGreaterThan(3_500_000)
    expect(String(failure)).toMatch(/asks to come again in \d+ s/u)
    expect(registry.requests('GET', /manifests/u)).toHaveLength(1)
  })
})
