import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { createTestClient, password } from '../../test/support/client.ts'
import { appOf, collect, createImage, describeBytes, sourceOf } from '../../test/support/images.ts'
import type { Fault, TestRegistry } from '../../test/support/registry.ts'
import { answer, reply, silence, startRegistry } from '../../test/support/registry.ts'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import type { BlobSource, RegistryClient } from '../client.ts'
import { BlobUnknown, ForbiddenTarget, InvalidAnswer, SourceMismatch } from '../errors.ts'
import { pushImage } from '../push.ts'
import { parseReference } from '../reference.ts'

const image = createImage({ layerBytes: [3_000_000] })
const [blob = image.config] = image.layers
const bytes = image.blobs.get(blob.digest) ?? Buffer.alloc(0)
const source = sourceOf(image.blobs)
const task = recordingTask()
const methodsOf = (registry: TestRegistry): string[] => registry.log.map(({ method, path }) => `${method} ${/uploads|blobs|manifests/u.exec(path.replace(/^.*blobs\/uploads/u, 'uploads'))?.[0] ?? path}`)

async function push(registry: TestRegistry, client: RegistryClient = createTestClient({ insecure: [registry.host] }), from: BlobSource = source): Promise<void> {
  await client.pushBlob(appOf(registry), { blob, source: from }, task)
}

const arrived = (registry: TestRegistry): boolean => registry.blobs.get(blob.digest)?.equals(bytes) === true

describe('a blob', () => {
  it('that is there already is not sent', async () => {
    await using registry = await startRegistry()
    registry.blobs.set(blob.digest, bytes)
    const watched = recordingTask()
    await createTestClient({ insecure: [registry.host] }).pushBlob(appOf(registry), { blob, source }, watched)
    expect(methodsOf(registry)).toEqual(['HEAD blobs'])
    expect(watched.events).toMatchObject([{ direction: 'push', outcome: 'present', doneBytes: blob.size }])
  })

  it('that is big is streamed and then completed, and the registry asked whether it has it', async () => {
    await using registry = await startRegistry()
    await push(registry)
    expect(methodsOf(registry)).toEqual(['HEAD blobs', 'POST uploads', 'PATCH uploads', 'PUT uploads', 'HEAD blobs'])
    expect(registry.requests('PATCH', /./u)[0]?.headers).toMatchObject({ 'content-range': '0-2999999', 'content-length': '3000000', 'content-type': 'application/octet-stream' })
    expect(arrived(registry)).toBe(true)
  })

  it('that is small is sent with the request that completes it', async () => {
    await using registry = await startRegistry()
    await createTestClient({ insecure: [registry.host] }).pushBlob(appOf(registry), { blob: image.config, source }, task)
    expect(methodsOf(registry)).toEqual(['HEAD blobs', 'POST uploads', 'PUT uploads', 'HEAD blobs'])
    expect(registry.blobs.has(image.config.digest)).toBe(true)
  })

  it('that is empty can be pushed', async () => {
    await using registry = await startRegistry()
    const empty = describeBytes(Buffer.alloc(0))
    await createTestClient({ insecure: [registry.host] }).pushBlob(appOf(registry), { blob: empty, source }, task)
    expect(registry.blobs.has(empty.digest)).toBe(true)
  })

  it('is mounted from a repository of the same registry that has it', async () => {
    await using registry = await startRegistry()
    registry.blobs.set(blob.digest, bytes)
    registry.on({ method: 'HEAD', path: /v2\/app\/blobs/u, times: 1 }, answer(404))
    const watched = recordingTask()
    const origins: BlobSource = { ...source, origins: () => [parseReference('elsewhere.test/base'), appOf(registry), appOf(registry, 'team/base')] }
    await createTestClient({ insecure: [registry.host] }).pushBlob(appOf(registry), { blob, source: origins }, watched)
    expect(registry.requests('POST', /./u).map(({ path }) => path)).toEqual([`/v2/app/blobs/uploads/?mount=${encodeURIComponent(blob.digest)}&from=team%2Fbase`])
    expect(watched.events).toMatchObject([{ outcome: 'mounted' }])
  })

  it('is mounted from where it was read by another name, as from a mirror', async () => {
    await using registry = await startRegistry()
    registry.blobs.set(blob.digest, bytes)
    registry.on({ method: 'HEAD', path: /v2\/app\/blobs/u, times: 1 }, answer(404))
    const origins: BlobSource = { ...source, origins: () => [parseReference('blocked.test/base'), parseReference('hub.test/library/base')] }
    const rules = [
      { prefix: 'hub.test', location: undefined, isInsecure: false, isBlocked: false, mirrors: [{ location: `${registry.host}/hub`, isInsecure: true, pullFrom: 'all' as const }], path: 'test' },
      { prefix: 'blocked.test', location: registry.host, isInsecure: true, isBlocked: true, mirrors: [], path: 'test' },
    ]
    await createTestClient({ insecure: [registry.host], rules }).pushBlob(appOf(registry), { blob, source: origins }, task)
    expect(registry.requests('POST', /./u).map(({ path }) => path)).toEqual([`/v2/app/blobs/uploads/?mount=${encodeURIComponent(blob.digest)}&from=hub%2Flibrary%2Fbase`])
  })

  it.each([['offers a session instead', 202], ['refuses', 403], ['knows no mounting', 405], ['does not know the repository', 404]])('is uploaded where the registry %s', async (_, status) => {
    await using registry = await startRegistry()
    if (status !== 202) registry.on({ method: 'POST', path: /mount=/u }, answer(status))
    await push(registry, undefined, { ...source, origins: () => [appOf(registry, 'base')] })
    expect(arrived(registry)).toBe(true)
    expect(registry.requests('POST', /./u)).toHaveLength(status === 202 ? 1 : 2)
  })
})

describe('an upload', () => {
  /** Takes `count` bytes of the body and breaks the connection. */
  const breakAfter = (count: number): Fault => async ({ request, url }) => {
    const registry = current
    const parts = registry?.uploads.get(url.pathname.split('/').at(-1) ?? '')
    let taken = 0
    for await (const chunk of request) {
      const part = (chunk as Buffer).subarray(0, count - taken)
      taken += part.byteLength
      parts?.push(part)
      if (taken >= count) break
    }
    request.socket.destroy()
  }
  let current: TestRegistry | undefined

  it.each([0, 1, 2, 1_500_000, 2_999_999])('that breaks after %d bytes goes on where the registry stands', async (count) => {
    await using registry = await startRegistry()
    current = registry
    registry.on({ method: 'PATCH', path: /uploads/u, times: 1 }, breakAfter(count))
    await push(registry)
    expect(arrived(registry)).toBe(true)
    // A range of 0-0 says one byte or none: then it is safer to begin anew.
    expect(registry.requests('POST', /uploads/u)).toHaveLength(count > 1 ? 1 : 2)
    expect(registry.log.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0)).toBe(blob.size - (count > 1 ? count : 0))
  })

  it('whose registry stands behind what was sent sends the rest', async () => {
    await using registry = await startRegistry()
    let isFirst = true
    registry.on({ method: 'PATCH', path: /uploads/u }, async (exchange) => {
      if (!isFirst) return exchange.proceed()
      isFirst = false
      const parts = registry.uploads.get(exchange.url.pathname.split('/').at(-1) ?? '')
      const all: Buffer[] = []
      for await (const chunk of exchange.request) all.push(chunk as Buffer)
      parts?.push(Buffer.concat(all).subarray(0, 1_000_000))
      reply(exchange.response, { status: 202, headers: { location: exchange.request.url ?? '', range: '0-999999' } })
    })
    await push(registry)
    expect(arrived(registry)).toBe(true)
    expect(registry.requests('PATCH', /./u)[1]?.headers['content-range']).toBe('1000000-2999999')
  })

  it.each([['PATCH', 404], ['PUT', 404], ['PATCH', 416], ['PATCH', 503], ['PUT', 502]])('whose session is lost at %s with %d begins anew', async (method, status) => {
    await using registry = await startRegistry()
    registry.on({ method, path: /uploads/u, times: 1 }, async (exchange) => {
      registry.uploads.clear()
      await answer(status)(exchange)
    })
    await push(registry)
    expect(arrived(registry)).toBe(true)
    expect(registry.requests('POST', /uploads/u)).toHaveLength(2)
  })

  it('whose registry counted more than it got begins anew', async () => {
    await using registry = await startRegistry()
    current = registry
    registry.on({ method: 'PATCH', path: /uploads/u, times: 1 }, breakAfter(1_500_000))
    registry.on({ method: 'GET', path: /uploads/u, times: 1 }, answer(204, { range: '0-1999999' }))
    await push(registry)
    expect(arrived(registry)).toBe(true)
    expect(registry.requests('POST', /uploads/u)).toHaveLength(2)
  })

  it.each([['breaks', 'lost'], ['breaks', 'miscounted']])('that gets somewhere, %s and is %s, again and again, is given up', async (_, how) => {
    await using registry = await startRegistry()
    current = registry
    let turn = 0
    registry.on({ method: 'PATCH', path: /uploads/u, times: 60 }, async (exchange) => {
      turn += 1
      if (turn % 2 === 1) return breakAfter(1_500_000)(exchange)
      if (how === 'lost') registry.uploads.clear()
      return answer(how === 'lost' ? 404 : 400, {}, how === 'lost' ? '' : '{"errors":[{"code":"DIGEST_INVALID"}]}')(exchange)
    })
    expect(await failureOf(push(registry))).toMatchObject({ code: 'REGISTRY_UNEXPECTED_STATUS' })
    expect(turn).toBeLessThan(20)
  })

  it('whose completion was done but not confirmed is not sent again', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PUT', path: /uploads/u, times: 1 }, (exchange) => {
      registry.blobs.set(blob.digest, bytes)
      registry.uploads.clear()
      exchange.response.socket?.destroy()
    })
    await push(registry)
    expect(registry.requests('PATCH', /./u)).toHaveLength(1)
  })

  it('that never succeeds is given up', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PATCH', path: /uploads/u }, answer(500))
    expect(await failureOf(push(registry))).toMatchObject({ code: 'REGISTRY_UNEXPECTED_STATUS', status: 500 })
    expect(registry.requests('PATCH', /./u)).toHaveLength(3)
  })

  it.each([
    ['403', answer(403), { code: 'REGISTRY_ACCESS_DENIED' }],
    ['409 before the body is there', ({ response }: Parameters<Fault>[0]): void => { reply(response, { status: 409, headers: { connection: 'close' } }) }, { status: 409 }],
    ['400 with DIGEST_INVALID', answer(400, {}, '{"errors":[{"code":"DIGEST_INVALID"}]}'), { status: 400, registryCodes: ['DIGEST_INVALID'] }],
  ])('that is refused with %s fails at once', async (_, fault, expected) => {
    await using registry = await startRegistry()
    registry.on({ method: 'PATCH', path: /uploads/u }, fault)
    expect(await failureOf(push(registry))).toMatchObject(expected)
    expect(registry.requests('PATCH', /./u)).toHaveLength(1)
  })

  it('that is refused before its source gave anything does not wait for it', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PATCH', path: /uploads/u }, ({ response }) => { reply(response, { status: 403 }) })
    let isAsked = false
    const slow: BlobSource = { async *read() {
      isAsked = true
      await expect.poll(() => isRefused).toBe(true)
      yield bytes
    } }
    let isRefused = false
    expect(await failureOf(push(registry, undefined, slow))).toMatchObject({ code: 'REGISTRY_ACCESS_DENIED' })
    expect(isAsked).toBe(true)
    isRefused = true
  })

  it('that is refused while its source still has much to give lets go of the source', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PATCH', path: /uploads/u }, ({ response }) => { reply(response, { status: 413, headers: { connection: 'close' } }) })
    let isReleased = false
    const endless: BlobSource = { async *read() {
      try {
        for (;;) yield await Promise.resolve(Buffer.alloc(65536))
      } finally {
        isReleased = true
      }
    } }
    const huge = { ...blob, size: 2 ** 40 }
    expect(await failureOf(createTestClient({ insecure: [registry.host] }).pushBlob(appOf(registry), { blob: huge, source: endless }, task))).toMatchObject({ status: 413 })
    await expect.poll(() => isReleased).toBe(true)
  })

  it('that the registry says has another digest fails', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PUT', path: /uploads/u }, answer(201, { 'docker-content-digest': `sha256:${'0'.repeat(64)}` }))
    expect(await failureOf(push(registry))).toBeInstanceOf(InvalidAnswer)
  })

  it('that is confirmed but then not there fails', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PUT', path: /uploads/u }, answer(201))
    expect(await failureOf(push(registry))).toBeInstanceOf(BlobUnknown)
  })

  it('that is there a moment later succeeds', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PUT', path: /uploads/u }, async (exchange) => {
      await exchange.proceed()
      registry.on({ method: 'HEAD', path: /blobs/u, times: 1 }, answer(404))
    })
    await push(registry)
    expect(arrived(registry)).toBe(true)
  })

  it('whose source gives other bytes than announced is the source\'s fault', async () => {
    await using registry = await startRegistry()
    for (const wrong of [bytes.subarray(1), Buffer.concat([bytes, bytes])]) {
      expect(await failureOf(push(registry, undefined, sourceOf(new Map([[blob.digest, wrong]]))))).toBeInstanceOf(SourceMismatch)
    }
    const broken = new Error('disk')
    const failing: BlobSource = { async *read() { await Promise.resolve(); throw broken } }
    expect(await failureOf(push(registry, undefined, failing))).toBe(broken)
    expect(registry.blobs.size).toBe(0)
  })

  it('stops when the caller gives up, with the reason of that', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PATCH', path: /uploads/u }, silence)
    const controller = new AbortController()
    const reason = new Error('enough')
    setTimeout(() => { controller.abort(reason) }, 50)
    expect(await failureOf(createTestClient({ insecure: [registry.host] }).pushBlob(appOf(registry), { blob, source }, recordingTask(controller.signal)))).toBe(reason)
  })
})

describe('an upload location', () => {
  const secret = 'location-secret'

  it('that is relative, or has a query, is used as it is with the digest added', async () => {
    await using registry = await startRegistry()
    await push(registry)
    expect(registry.requests('PUT', /./u)[0]?.path).toMatch(/\?_state=a%2Bb&x&digest=sha256%3A[0-9a-f]{64}$/u)
  })

  it.each([
    ['on another host', (other: TestRegistry): string => `${other.origin}/v2/app/blobs/uploads/1`],
    ['with credentials in it', (_: TestRegistry, own: TestRegistry): string => `http://user:pw@${own.host}/v2/app/blobs/uploads/1`],
    ['of another scheme', (): string => 'file:///tmp/x'],
    ['that is empty', (): string => ''],
    ['at a metadata service', (): string => 'http://169.254.169.254/upload'],
    ['with TLS, which is another origin', (_: TestRegistry, own: TestRegistry): string => `https://${own.host}/x`],
  ])('%s gets neither login nor blob', async (_, locationOf) => {
    await using registry = await startRegistry()
    await using other = await startRegistry()
    registry.on({ path: /./u }, (exchange) => (exchange.request.headers.authorization === undefined ? answer(401, { 'www-authenticate': 'Basic realm="x"' })(exchange) : exchange.proceed()))
    const evil: Fault = (exchange) => (exchange.request.headers.authorization === undefined ? answer(401, { 'www-authenticate': 'Basic realm="x"' })(exchange) : answer(202, { location: locationOf(other, registry) })(exchange))
    registry.on({ method: 'POST', path: /uploads/u }, evil)
    const client = createTestClient({ insecure: [registry.host, other.host], logins: { [registry.host]: password('user', secret) } })
    const failure = await failureOf(push(registry, client))
    expect(failure).toBeInstanceOf(ForbiddenTarget)
    expect(failure).toMatchObject({ kind: 'upload location' })
    expect(inspect(failure)).not.toMatch(/location-secret|:pw@/u)
    expect(other.log).toEqual([])
  })

  it('that changes with every answer is followed', async () => {
    await using registry = await startRegistry()
    let turn = 0
    registry.on({ path: /uploads\/renamed/u }, (exchange) => {
      exchange.url.pathname = exchange.url.pathname.replace(/renamed-\d+-/u, '')
      return exchange.proceed()
    })
    registry.on({ method: 'PATCH', path: /uploads/u }, async (exchange) => {
      const id = exchange.url.pathname.split('/').at(-1) ?? ''
      for await (const chunk of exchange.request) registry.uploads.get(id)?.push(chunk as Buffer)
      turn += 1
      reply(exchange.response, { status: 202, headers: { location: `/v2/app/blobs/uploads/renamed-${turn}-${id}`, range: '0-2999999' } })
    })
    await push(registry)
    expect(registry.requests('PUT', /renamed-1-/u)).toHaveLength(1)
    expect(arrived(registry)).toBe(true)
  })
})

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
    await new Promise((resolve) => setTimeout(resolve, 30))
    const requests = registry.log.length
    await new Promise((resolve) => setTimeout(resolve, 50))
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
    const pushing = pushImage(createTestClient({ insecure: [registry.host], limits: { answerMs: 200 } }), { reference: appOf(registry), manifest: big.manifest, source: sourceOf(big.blobs), maxConcurrentUploads: 3 }, task)
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
    expect(arrived(registry)).toBe(true)
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
    expect(await failureOf(client.pushManifest({ ...untagged, digest: blob.digest }, image.manifest, task))).toMatchObject({ code: 'REGISTRY_WRONG_CONTENT' })
  })
})
