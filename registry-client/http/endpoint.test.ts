import type { LookupFunction } from 'node:net'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { createTestClient, insecureRule, lookupTable, password } from '../../test/support/client.ts'
import { appOf, collect, createImage, sourceOf, startWithImage } from '../../test/support/images.ts'
import type { Fault, TestRegistry } from '../../test/support/registry.ts'
import { answer, reply, startRegistry } from '../../test/support/registry.ts'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import { AccessDenied, ForbiddenTarget } from '../errors.ts'
import { pushImage } from '../push.ts'
import { parseReference } from '../reference.ts'

const image = createImage({ layerBytes: [200_000] })
const [layer = image.config] = image.layers
const task = recordingTask()

function portOf({ host }: TestRegistry): string {
  return host.split(':')[1] ?? ''
}

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
