import { describe, expect, it } from 'vitest'
import { createTestClient } from '../test/support/client.ts'
import { appOf, collect, createImage, sourceOf } from '../test/support/images.ts'
import type { TestRegistry } from '../test/support/registry.ts'
import { answer, silence, startRegistry } from '../test/support/registry.ts'
import { settle } from '../test/support/settle.ts'
import { failureOf, recordingTask } from '../test/support/task.ts'
import { pushImage } from './push.ts'

const image = createImage({ layerBytes: [3_000_000] })
const task = recordingTask()

describe('pushImage', () => {
  it('writes no manifest when a blob fails, and leaves no upload running', async () => {
    await using registry = await startRegistry()
    const big = createImage({ layerBytes: [2_000_000, 2_000_001, 2_000_002] })
    const failing = big.layers[1]?.digest ?? ''
    registry.on({ method: 'HEAD', path: new RegExp(failing, 'u') }, answer(400))
    const push2 = pushImage(createTestClient({ insecure: [registry.host] }), { reference: appOf(registry), manifest: big.manifest, source: sourceOf(big.blobs), maxConcurrentUploads: 3 }, task)
    expect(await failureOf(push2)).toMatchObject({ code: 'REGISTRY_UNEXPECTED_STATUS', status: 400 })
    expect(registry.requests('PUT', /manifests/u)).toEqual([])
    // What had left before the failure may still arrive.
    await settle(30)
    const requests = registry.log.length
    await settle(50)
    expect(registry.log).toHaveLength(requests)
  })

  it('lets other blobs go when one fails', async () => {
    await using registry = await startRegistry()
    const big = createImage({ layerBytes: [2_000_000, 2_000_001] })
    const failing = big.layers[1]?.digest ?? ''
    registry.on({ method: 'PATCH', path: /uploads/u }, silence)
    registry.on({ method: 'HEAD', path: new RegExp(failing, 'u') }, async (exchange) => {
      await expect.poll(() => registry.requests('PATCH', /./u).length).toBe(1)
      await answer(400)(exchange)
    })
    const pushing = pushImage(createTestClient({ insecure: [registry.host] }), { reference: appOf(registry), manifest: big.manifest, source: sourceOf(big.blobs), maxConcurrentUploads: 3 }, task)
    expect(await failureOf(pushing)).toMatchObject({ status: 400 })
    expect(registry.requests('PATCH', /./u)).toHaveLength(1)
  })

  it('sends each blob once and no more at a time than asked', async () => {
    await using registry = await startRegistry()
    const big = createImage({ layerBytes: Array.from({ length: 8 }, (_, index) => 1000 + index) })
    const twice = { ...big.manifest, bytes: Buffer.from(JSON.stringify({ ...JSON.parse(big.manifest.bytes.toString()) as object, layers: [...big.layers, ...big.layers] })) }
    let running = 0
    let most = 0
    registry.on({ method: 'PUT', path: /uploads/u }, async (exchange) => {
      most = Math.max(most, running += 1)
      await new Promise((resolve) => setTimeout(resolve, 10))
      running -= 1
      await exchange.proceed()
    })
    await pushImage(createTestClient({ insecure: [registry.host] }), { reference: appOf(registry), manifest: twice, source: sourceOf(big.blobs), maxConcurrentUploads: 2 }, task)
    expect(registry.requests('PUT', /uploads/u)).toHaveLength(9)
    expect(most).toBe(2)
  })
})

describe('a push to a busy registry', () => {
  const pushTo = (registry: TestRegistry, pushed = image): Promise<unknown> => pushImage(createTestClient({ insecure: [registry.host] }), { reference: appOf(registry), manifest: pushed.manifest, source: sourceOf(pushed.blobs), maxConcurrentUploads: 2 }, task)

  it('that is asked for patience in the middle goes on', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PATCH', path: /uploads/u, times: 1 }, answer(429, { 'retry-after': '0' }))
    registry.on({ method: 'PUT', path: /manifests/u, times: 1 }, answer(429, { 'retry-after': '0' }))
    await pushTo(registry)
    expect(image.layers.every(({ digest }) => registry.blobs.has(digest))).toBe(true)
    expect(registry.manifests.get('app 1')?.bytes).toEqual(image.manifest.bytes)
  })

  it.each([429, 503])('is not asked again before the time it named in the middle with %d', async (status) => {
    await using registry = await startRegistry()
    const big = createImage({ layerBytes: [3_000_000] })
    registry.on({ method: 'PATCH', path: /uploads/u, times: 1 }, answer(status, { 'retry-after': '1' }))
    await pushTo(registry, big)
    const [refused, again] = registry.requests('PATCH', /uploads/u)
    expect((again?.atMs ?? 0) - (refused?.atMs ?? 0)).toBeGreaterThan(950)
    expect(registry.manifests.get('app 1')?.bytes).toEqual(big.manifest.bytes)
  })

  it('is left alone when it asks in the middle for more patience than we have', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PATCH', path: /uploads/u }, answer(503, { 'retry-after': '99999' }))
    expect(await failureOf(pushTo(registry, createImage({ layerBytes: [3_000_000] })))).toMatchObject({ status: 503, retryAfterMs: 99_999_000 })
    expect(registry.requests('PATCH', /uploads/u)).toHaveLength(1)
  })

  it('that does not see the blobs at once writes the manifest a moment later', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PUT', path: /manifests/u, times: 1 }, answer(404, {}, '{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}'))
    await pushTo(registry)
    expect(registry.requests('PUT', /manifests/u)).toHaveLength(2)
    expect(registry.manifests.get('app 1')?.bytes).toEqual(image.manifest.bytes)
  })

  it('at the same time as another under the same tag leaves one of them, and both whole by digest', async () => {
    await using registry = await startRegistry()
    const others = [image, createImage({ layerBytes: [2_000_000] }), createImage({ layerBytes: [2_000_000] })]
    await Promise.all(others.map((each) => pushTo(registry, each)))
    const tagged = registry.manifests.get('app 1')?.bytes
    expect(others.filter(({ manifest }) => tagged?.equals(manifest.bytes))).toHaveLength(1)
    const client = createTestClient({ insecure: [registry.host] })
    for (const { manifest, blobs, layers } of others) {
      expect((await client.fetchManifest({ ...appOf(registry), tag: undefined, digest: manifest.descriptor.digest }, task)).bytes).toEqual(manifest.bytes)
      for (const layer of layers) expect((await collect(client.fetchBlob(appOf(registry), layer, task))).equals(blobs.get(layer.digest) ?? Buffer.alloc(0))).toBe(true)
    }
  })
})
