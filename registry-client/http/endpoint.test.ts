import type { LookupFunction } from 'node:net'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { createTestClient, insecureRule, lookupTable, password } from '../../test/support/client.ts'
import { appOf, collect, createImage, sourceOf, startWithImage } from '../../test/support/images.ts'
import type { Fault, TestRegistry } from '../../test/support/registry.ts'
import { answer, raw, reply, silence, startRegistry } from '../../test/support/registry.ts'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import { AccessDenied, ForbiddenTarget, InvalidAnswer, RegistryUnreachable, UnexpectedStatus } from '../errors.ts'
import { pushImage } from '../push.ts'
import { parseReference } from '../reference.ts'

const image = createImage({ layerBytes: [200_000] })
const [layer = image.config] = image.layers
const task = recordingTask()

function portOf({ host }: TestRegistry): string {
  return host.split(':')[1] ?? ''
}

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
    await new Promise((resolve) => setTimeout(resolve, 20))
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

describe('a server that stalls', () => {
  const slowly = (text: string, everyMs: number): Fault => ({ response }) => {
    let sent = 0
    const timer = setInterval(() => { response.socket?.write(text.charAt(sent++ % text.length)) }, everyMs)
    response.socket?.on('close', () => { clearInterval(timer) })
  }

  it.each([
    ['accepts and says nothing', silence],
    ['sends its headers a byte at a time', slowly('HTTP/1.1 200 OK\r\nx-header: abcdefghijklmnopqrstuvwxyz', 40)],
  ])('is left when it %s', async (_, fault) => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u }, fault)
    const failure = await failureOf(createTestClient({ insecure: [registry.host], limits: { answerMs: 150 } }).fetchManifest(appOf(registry), task))
    expect(failure).toBeInstanceOf(RegistryUnreachable)
    expect(failure).toMatchObject({ reason: 'timeout', host: registry.host })
    expect(registry.requests('GET', /manifests/u)).toHaveLength(3)
  })

  it.each([
    ['stops in a body', 60_000, 64],
    ['trickles', 20, 64 * 1024],
  ])('is left when it %s', async (_, everyMs, minBytesPerSecond) => {
    await using registry = await startWithImage(image)
    registry.on({ path: /blobs/u }, ({ response }) => {
      response.writeHead(200, { 'content-length': layer.size })
      response.write('x')
      const timer = setInterval(() => { response.write('x') }, everyMs)
      response.on('close', () => { clearInterval(timer) })
    })
    const client = createTestClient({ insecure: [registry.host], limits: { idleMs: 100, minBytesPerSecond, attempts: 2 } })
    expect(await failureOf(collect(client.fetchBlob(appOf(registry), layer, task)))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'timeout' })
  })

  it('is not blamed for the time the reader takes', async () => {
    await using registry = await startWithImage(image)
    const client = createTestClient({ insecure: [registry.host], limits: { idleMs: 100, attempts: 1 } })
    let sizeBytes = 0
    for await (const chunk of client.fetchBlob(appOf(registry), layer, task)) {
      sizeBytes += chunk.byteLength
      await new Promise((resolve) => setTimeout(resolve, 150))
    }
    expect(sizeBytes).toBe(layer.size)
  })

  it('is left when it takes nothing of an upload', async () => {
    await using registry = await startRegistry()
    const big = createImage({ layerBytes: [20_000_000] })
    registry.on({ method: 'PATCH', path: /uploads/u }, silence)
    const client = createTestClient({ insecure: [registry.host], limits: { idleMs: 100, attempts: 2 } })
    const [bigLayer = big.config] = big.layers
    expect(await failureOf(client.pushBlob(appOf(registry), { blob: bigLayer, source: sourceOf(big.blobs) }, task))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'timeout' })
  })

  it('may not hold us with interim answers', async () => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u }, raw('HTTP/1.1 102 Processing\r\n\r\n'.repeat(1000), { keepOpen: true }))
    expect(await failureOf(createTestClient({ insecure: [registry.host] }).fetchManifest(appOf(registry), task))).toBeInstanceOf(InvalidAnswer)
  })

  it('in the middle of agreeing on TLS is left', async () => {
    const server = createServer(() => undefined)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const client = createTestClient({ limits: { connectMs: 100, attempts: 1 } })
    expect(await failureOf(client.fetchManifest(parseReference(`${host}/app:1`), task))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'timeout', host })
    server.close()
  })

  it('may not hold us with what it says about a chunk', async () => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u }, raw(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;${'x'.repeat(1_000_000)}`, { keepOpen: true }))
    expect(await failureOf(createTestClient({ insecure: [registry.host] }).fetchManifest(appOf(registry), task))).toMatchObject({ code: 'REGISTRY_UNREACHABLE' })
  })

  it('may not fill our memory with headers', async () => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u }, raw(`HTTP/1.1 200 OK\r\n${`x-filler: ${'y'.repeat(1000)}\r\n`.repeat(1000)}\r\n`))
    expect(await failureOf(createTestClient({ insecure: [registry.host] }).fetchManifest(appOf(registry), task))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'protocol', detail: 'HPE_HEADER_OVERFLOW' })
  })

  it('that closes kept connections costs nothing but a new one', async () => {
    await using registry = await startWithImage(image)
    const client = createTestClient({ insecure: [registry.host] })
    for (let round = 0; round < 5; round += 1) {
      await client.fetchManifest(appOf(registry), task)
      registry.on({ path: /manifests/u, times: 1 }, ({ response }) => { response.socket?.destroy() })
    }
    expect(registry.requests('GET', /manifests/u)).toHaveLength(9)
  })
})

describe('a redirect', () => {
  const secret = 'redirect-secret'
  const to = (location: string, status = 307): Fault => answer(status, { location })
  const wantBasic: Fault = (exchange) => (exchange.request.headers.authorization === undefined ? answer(401, { 'www-authenticate': 'Basic realm="x"' })(exchange) : exchange.proceed())

  it('to another host is followed without credentials, cookies or anything else of ours', async () => {
    await using registry = await startWithImage(image)
    await using cdn = await startRegistry()
    registry.on({ path: /./u }, wantBasic)
    registry.on({ path: /blobs/u }, (exchange) => (exchange.request.headers.authorization === undefined ? wantBasic(exchange) : answer(307, { 'location': `${cdn.origin}/signed?X-Sig=s`, 'set-cookie': 'session=1' })(exchange)))
    cdn.on({ path: /signed/u }, ({ response }) => { reply(response, { status: 200, body: image.blobs.get(layer.digest) ?? '' }) })
    const client = createTestClient({ insecure: [registry.host], logins: { [registry.host]: password('user', secret) } })
    expect(await collect(client.fetchBlob(appOf(registry), layer, task))).toHaveLength(layer.size)
    expect(cdn.log.map(({ path, headers }) => [path, Object.keys(headers).sort()])).toEqual([['/signed?X-Sig=s', ['accept-encoding', 'connection', 'host', 'user-agent']]])
    expect(inspect(cdn.log, { depth: 5 })).not.toContain(Buffer.from(`user:${secret}`).toString('base64'))
  })

  it('to another port, and from there back, does not bring the credentials back', async () => {
    await using registry = await startWithImage(image)
    await using other = await startRegistry()
    registry.on({ path: /./u }, wantBasic)
    registry.on({ path: /app\/blobs/u }, (exchange) => (exchange.request.headers.authorization === undefined ? wantBasic(exchange) : to(`${other.origin}/there`)(exchange)))
    registry.on({ path: /back/u }, answer(403))
    other.on({ path: /there/u }, to(`${registry.origin}/back`))
    const client = createTestClient({ insecure: [registry.host], logins: { [registry.host]: password('user', secret) } })
    expect(await failureOf(collect(client.fetchBlob(appOf(registry), layer, task)))).toMatchObject({ code: 'REGISTRY_ACCESS_DENIED' })
    expect(registry.requests('GET', /back/u).map(({ headers }) => headers.authorization)).toEqual([undefined])
    expect(other.log.map(({ headers }) => headers.authorization)).toEqual([undefined])
  })

  it('within the registry keeps them', async () => {
    await using registry = await startWithImage(image)
    registry.on({ path: /./u }, wantBasic)
    registry.on({ path: /manifests/u }, (exchange) => (exchange.request.headers.authorization === undefined ? wantBasic(exchange) : to('/moved')(exchange)))
    registry.on({ path: /moved/u }, ({ response }) => { reply(response, { status: 200, headers: { 'content-type': image.manifest.mediaType }, body: image.manifest.bytes }) })
    const client = createTestClient({ insecure: [registry.host], logins: { [registry.host]: password('user', secret) } })
    expect((await client.fetchManifest(appOf(registry), task)).bytes).toEqual(image.manifest.bytes)
    expect(registry.requests('GET', /moved/u)[0]?.headers.authorization).toMatch(/^Basic /u)
  })

  it('target that asks for a password gets none', async () => {
    await using registry = await startWithImage(image)
    await using other = await startRegistry()
    other.on({ path: /./u }, answer(401, { 'www-authenticate': 'Basic realm="give"' }))
    registry.on({ path: /blobs/u }, to(`${other.origin}/x`))
    const client = createTestClient({ insecure: [registry.host, other.host], logins: { [registry.host]: password('user', secret), [other.host]: password('user', secret) } })
    expect(await failureOf(collect(client.fetchBlob(appOf(registry), layer, task)))).toMatchObject({ code: 'REGISTRY_UNEXPECTED_STATUS', status: 401, host: other.host })
    expect(other.log.map(({ headers }) => headers.authorization)).toEqual([undefined])
  })

  it.each([
    ['http://169.254.169.254/latest/meta-data'], ['http://[fe80::1]/'], ['file:///etc/passwd'], ['http://user:pw@127.0.0.1/'], [''],
  ])('to %j is refused', async (location) => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u }, to(location))
    expect(await failureOf(createTestClient({ insecure: [registry.host] }).fetchManifest(appOf(registry), task))).toMatchObject({ code: 'REGISTRY_FORBIDDEN_TARGET', kind: 'redirect' })
  })

  it('by name into a network the registry is not in is refused when the name is resolved', async () => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u }, to('http://metadata.test/'))
    const client = createTestClient({ insecure: [registry.host], lookup: (_, options, done) => { if (options.all === true) done(null, [{ address: '8.8.8.8', family: 4 }, { address: '169.254.169.254', family: 4 }]) } })
    expect(await failureOf(client.fetchManifest(appOf(registry), task))).toMatchObject({ code: 'REGISTRY_FORBIDDEN_TARGET', target: 'http://metadata.test' })
  })

  it('that never ends is left after a few', async () => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests|hop/u }, to('/hop'))
    expect(await failureOf(createTestClient({ insecure: [registry.host] }).fetchManifest(appOf(registry), task))).toBeInstanceOf(ForbiddenTarget)
    expect(registry.log.length).toBeLessThan(10)
  })

  it.each([['POST', /uploads/u, 303], ['POST', /uploads/u, 307], ['PUT', /uploads/u, 308], ['PUT', /manifests/u, 307]])('of %s %s with %d is refused and takes nothing along', async (method, path, status) => {
    await using registry = await startRegistry()
    await using other = await startRegistry()
    registry.on({ method, path }, to(`${other.origin}/x`, status))
    const push = pushImage(createTestClient({ insecure: [registry.host] }), { reference: appOf(registry), manifest: image.manifest, source: sourceOf(image.blobs), maxConcurrentUploads: 1 }, task)
    expect(await failureOf(push)).toMatchObject({ code: 'REGISTRY_FORBIDDEN_TARGET' })
    expect(other.log).toEqual([])
  })

  it('shows nothing of a signed address in the error', async () => {
    await using registry = await startWithImage(image)
    await using cdn = await startRegistry()
    registry.on({ path: /blobs/u }, to(`${cdn.origin}/path-of-it?X-Sig=signature`))
    cdn.on({ path: /./u }, answer(403, {}, '<Error>expired</Error>'))
    const failure = await failureOf(collect(createTestClient({ insecure: [registry.host] }).fetchBlob(appOf(registry), layer, task)))
    expect(failure).toMatchObject({ code: 'REGISTRY_UNEXPECTED_STATUS', host: cdn.host, status: 403 })
    expect(inspect(failure, { depth: 10 })).not.toMatch(/signature|path-of-it/u)
  })
})

describe('a server that is insecure', () => {
  it('is never spoken to without TLS unless the configuration says so', async () => {
    await using registry = await startWithImage(image)
    const reference = parseReference(`registry.test:${portOf(registry)}/app:1`)
    const failure = await failureOf(createTestClient({ lookup: lookupTable({ 'registry.test': '127.0.0.1' }) }).fetchManifest(reference, task))
    expect(failure).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'plain-http', isTransient: false })
    expect(String(failure)).toContain(`[[registry]] location = "${reference.registry}" insecure = true`)
    expect(await failureOf(createTestClient({ secure: [registry.host] }).fetchManifest(appOf(registry), task))).toMatchObject({ reason: 'plain-http' })
    expect(registry.log).toEqual([])
  })

  it('needs no configuration on this machine, by whatever name that is plainly this machine', async () => {
    await using registry = await startWithImage(image)
    for (const host of [registry.host, `localhost:${portOf(registry)}`]) {
      const client = createTestClient({ lookup: lookupTable({ localhost: '127.0.0.1' }) })
      expect((await client.fetchManifest(parseReference(`${host}/app:1`), task)).bytes).toEqual(image.manifest.bytes)
    }
  })

  it.each(['203.0.113.7', '127.0.0.1 203.0.113.7'])('needs TLS under the name localhost when that leads to %s', async (addresses) => {
    await using registry = await startWithImage(image)
    const client = createTestClient({ lookup: lookupTable({ localhost: addresses }) })
    expect(await failureOf(client.fetchManifest(parseReference(`localhost:${portOf(registry)}/app:1`), task))).toMatchObject({ code: 'REGISTRY_UNREACHABLE' })
    expect(registry.log).toEqual([])
  })

  it('is spoken to as its own rule says, whatever holds for other ports', async () => {
    await using registry = await startWithImage(image)
    const client = createTestClient({ secure: [registry.host], rules: [insecureRule('127.0.0.1'), insecureRule('127.0.0.1:1')] })
    expect(await failureOf(client.fetchManifest(appOf(registry), task))).toMatchObject({ reason: 'plain-http' })
    expect(registry.log).toEqual([])
  })

  it('that nobody is at is said to be so, after some tries', async () => {
    const registry = await startRegistry()
    await registry[Symbol.asyncDispose]()
    expect(await failureOf(createTestClient({ insecure: [registry.host] }).fetchManifest(appOf(registry), task))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'refused' })
  })

  it('is itself in capitals, and with the usual port', async () => {
    await using registry = await startWithImage(image)
    const client = createTestClient({ lookup: lookupTable({ localhost: '127.0.0.1' }) })
    expect((await client.fetchManifest(parseReference(`LOCALHOST:${portOf(registry)}/app:1`), task)).bytes).toEqual(image.manifest.bytes)
    expect(await failureOf(client.fetchManifest(parseReference('nowhere.test:443/app'), task))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'dns' })
  })

  it('whose name does not resolve is said to be so', async () => {
    const client = createTestClient({ lookup: (_, __, done) => { done(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), '', 4) } })
    expect(await failureOf(client.fetchManifest(parseReference('nowhere.test/app'), task))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'dns', host: 'nowhere.test' })
  })
})

describe('a name', () => {
  it('whose first address leads nowhere is reached at another', async () => {
    await using registry = await startWithImage(image)
    // 100::/64 discards what is sent there.
    const lookup: LookupFunction = (_, __, done) => { done(null, [{ address: '100::1', family: 6 }, { address: '127.0.0.1', family: 4 }]) }
    const reference = parseReference(`registry.test:${portOf(registry)}/app:1`)
    expect((await createTestClient({ insecure: [reference.registry], lookup }).fetchManifest(reference, task)).bytes).toEqual(image.manifest.bytes)
  })

  it('that is never resolved is given up in time', async () => {
    const client = createTestClient({ lookup: () => undefined, limits: { connectMs: 50 } })
    expect(await failureOf(client.fetchManifest(parseReference('nowhere.test/app'), task))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'timeout', host: 'nowhere.test' })
  })

  it('that is resolved anew for each connection leads no request further inside than the first', async () => {
    await using inner = await startWithImage(image)
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u }, ({ response }) => { reply(response, { status: 307, headers: { location: `http://rebound.test:${portOf(inner)}/v2/app/manifests/1` } }) })
    let asked = 0
    const lookup: LookupFunction = (hostname, _, done) => {
      if (hostname !== 'rebound.test') throw new TypeError(hostname)
      asked += 1
      done(null, [{ address: asked === 1 ? '203.0.113.7' : '169.254.169.254', family: 4 }])
    }
    const failure = await failureOf(createTestClient({ insecure: [registry.host], lookup, limits: { connectMs: 100 } }).fetchManifest(appOf(registry), task))
    expect(failure).toMatchObject({ code: expect.stringMatching(/^REGISTRY_(?:UNREACHABLE|FORBIDDEN_TARGET)$/u) as string })
    expect(inner.log).toEqual([])
  })
})

describe('an error a registry sends', () => {
  it.each([
    ['endless', ({ response }: Parameters<Fault>[0]) => { response.writeHead(400); const more = (): void => { while (response.writable && response.write('x'.repeat(65536))); }; response.on('drain', more); more() }],
    ['deeply nested', answer(400, { 'content-type': 'application/json' }, '['.repeat(50_000))],
    ['cut', ({ response }: Parameters<Fault>[0]) => { response.writeHead(400, { 'content-length': 100 }); response.write('{', () => response.socket?.destroy()) }],
    ['of wrong types', answer(400, {}, '{"errors":[1,null,{"code":{},"message":[]},{"code":"../x"}]}')],
  ])('is survived when it is %s', async (_, fault) => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u }, fault)
    expect(await failureOf(createTestClient({ insecure: [registry.host] }).fetchManifest(appOf(registry), task))).toMatchObject({ code: 'REGISTRY_UNEXPECTED_STATUS', status: 400, registryCodes: [] })
  })

  it('is not repeated where it repeats our password', async () => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u }, ({ request, response }) => {
      const sent = request.headers.authorization ?? ''
      if (sent === '') reply(response, { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } })
      else reply(response, { status: 403, body: JSON.stringify({ errors: [{ code: 'DENIED', message: `no ${sent} and ${Buffer.from(sent.slice(6), 'base64').toString()}` }] }) })
    })
    const failure = await failureOf(createTestClient({ insecure: [registry.host], logins: { [registry.host]: password('user', 'hunter2-password') } }).fetchManifest(appOf(registry), task))
    expect(failure).toBeInstanceOf(AccessDenied)
    expect((failure as Error).message).toContain('answered 403 (DENIED: no Basic [secret] and user:[secret])')
    expect(inspect(failure, { depth: 10 })).not.toMatch(/hunter2|aHVudGVy|dXNlcjpodW50/u)
  })
})
