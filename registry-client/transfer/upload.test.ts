import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { createTestClient, password } from '../../test/support/client.ts'
import { appOf, createImage, describeBytes, sourceOf } from '../../test/support/images.ts'
import type { Fault, TestRegistry } from '../../test/support/registry.ts'
import { answer, reply, silence, startRegistry } from '../../test/support/registry.ts'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import { blob, bytes, hasArrived, pushBlob, source } from '../../test/support/transferred-blob.ts'
import type { BlobSource } from '../client.ts'
import { BlobUnknown, ForbiddenTarget, InvalidAnswer, SourceMismatch } from '../errors.ts'
import { parseReference } from '../reference.ts'

const task = recordingTask()
const methodsOf = (registry: TestRegistry): string[] => registry.log.map(({ method, path }) => `${method} ${/uploads|blobs|manifests/u.exec(path.replace(/^.*blobs\/uploads/u, 'uploads'))?.[0] ?? path}`)

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
    await pushBlob(registry)
    expect(methodsOf(registry)).toEqual(['HEAD blobs', 'POST uploads', 'PATCH uploads', 'PUT uploads', 'HEAD blobs'])
    expect(registry.requests('PATCH', /./u)[0]?.headers).toMatchObject({ 'content-range': '0-2999999', 'content-length': '3000000', 'content-type': 'application/octet-stream' })
    expect(hasArrived(registry)).toBe(true)
  })

  it('that is small is sent with the request that completes it', async () => {
    await using registry = await startRegistry()
    const small = createImage()
    await createTestClient({ insecure: [registry.host] }).pushBlob(appOf(registry), { blob: small.config, source: sourceOf(small.blobs) }, task)
    expect(methodsOf(registry)).toEqual(['HEAD blobs', 'POST uploads', 'PUT uploads', 'HEAD blobs'])
    expect(registry.blobs.has(small.config.digest)).toBe(true)
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
    await pushBlob(registry, undefined, { ...source, origins: () => [appOf(registry, 'base')] })
    expect(hasArrived(registry)).toBe(true)
    expect(registry.requests('POST', /./u)).toHaveLength(status === 202 ? 1 : 2)
  })
})

describe('an upload', () => {
  it('that never succeeds is given up', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PATCH', path: /uploads/u }, answer(500))
    expect(await failureOf(pushBlob(registry))).toMatchObject({ code: 'REGISTRY_UNEXPECTED_STATUS', status: 500 })
    expect(registry.requests('PATCH', /./u)).toHaveLength(3)
  })

  it.each([
    ['403', answer(403), { code: 'REGISTRY_ACCESS_DENIED' }],
    ['409 before the body is there', ({ response }: Parameters<Fault>[0]): void => { reply(response, { status: 409, headers: { connection: 'close' } }) }, { status: 409 }],
    ['400 with DIGEST_INVALID', answer(400, {}, '{"errors":[{"code":"DIGEST_INVALID"}]}'), { status: 400, registryCodes: ['DIGEST_INVALID'] }],
  ])('that is refused with %s fails at once', async (_, fault, expected) => {
    await using registry = await startRegistry()
    registry.on({ method: 'PATCH', path: /uploads/u }, fault)
    expect(await failureOf(pushBlob(registry))).toMatchObject(expected)
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
    expect(await failureOf(pushBlob(registry, undefined, slow))).toMatchObject({ code: 'REGISTRY_ACCESS_DENIED' })
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
    expect(await failureOf(pushBlob(registry))).toBeInstanceOf(InvalidAnswer)
  })

  it('that is confirmed but then not there fails', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PUT', path: /uploads/u }, answer(201))
    expect(await failureOf(pushBlob(registry))).toBeInstanceOf(BlobUnknown)
  })

  it('that is there a moment later succeeds', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PUT', path: /uploads/u }, async (exchange) => {
      await exchange.proceed()
      registry.on({ method: 'HEAD', path: /blobs/u, times: 1 }, answer(404))
    })
    await pushBlob(registry)
    expect(hasArrived(registry)).toBe(true)
  })

  it('whose source gives other bytes than announced is the source\'s fault', async () => {
    await using registry = await startRegistry()
    for (const wrong of [bytes.subarray(1), Buffer.concat([bytes, bytes])]) {
      expect(await failureOf(pushBlob(registry, undefined, sourceOf(new Map([[blob.digest, wrong]]))))).toBeInstanceOf(SourceMismatch)
    }
    const broken = new Error('disk')
    const failing: BlobSource = { async *read() { await Promise.resolve(); throw broken } }
    expect(await failureOf(pushBlob(registry, undefined, failing))).toBe(broken)
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
    await pushBlob(registry)
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
    const failure = await failureOf(pushBlob(registry, client))
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
    await pushBlob(registry)
    expect(registry.requests('PUT', /renamed-1-/u)).toHaveLength(1)
    expect(hasArrived(registry)).toBe(true)
  })
})
