import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { createTestClient, password } from '../../test/support/client.ts'
import { appOf, createImage, sourceOf, startWithImage } from '../../test/support/images.ts'
import type { TestRegistry } from '../../test/support/registry.ts'
import { answer, reply, startRegistry } from '../../test/support/registry.ts'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import { startTokenServer } from '../../test/support/token-server.ts'
import { Secret } from '../config/secret.ts'
import { AccessDenied, ForbiddenTarget, InvalidAnswer } from '../errors.ts'
import { pushImage } from '../push.ts'
import { parseReference } from '../reference.ts'

const image = createImage({ layerBytes: [2_000_000, 10] })
const task = recordingTask()
const secret = 'pass-of-the-test'
const basic = `Basic ${Buffer.from(`user:${secret}`).toString('base64')}`

describe('basic authentication', () => {
  const guard = (registry: TestRegistry, challenge = 'Basic realm="x"'): void => {
    registry.on({ path: /\/v2\/app/u }, (exchange) => (exchange.request.headers.authorization === basic ? exchange.proceed() : answer(401, { 'www-authenticate': challenge })(exchange)))
  }

  it('is used when the registry asks for it, and from then on unasked', async () => {
    await using registry = await startWithImage(image)
    guard(registry)
    const client = createTestClient({ insecure: [registry.host], logins: { [registry.host]: password('user', secret) } })
    await client.fetchManifest(appOf(registry), task)
    await client.fetchManifest(appOf(registry), task)
    expect(registry.requests('GET', /manifests/u).map(({ headers }) => headers.authorization)).toEqual([undefined, basic, basic])
  })

  it('without a login is denied with the advice to log in', async () => {
    await using registry = await startWithImage(image)
    guard(registry)
    const failure = await failureOf(createTestClient({ insecure: [registry.host] }).fetchManifest(appOf(registry), task))
    expect(failure).toBeInstanceOf(AccessDenied)
    expect(failure).toMatchObject({ hasCredentials: false })
    expect(String(failure)).toContain(`tsbuild login ${registry.host}`)
  })

  it('with the wrong password is denied after one try', async () => {
    await using registry = await startWithImage(image)
    guard(registry)
    const failure = await failureOf(createTestClient({ insecure: [registry.host], logins: { [registry.host]: password('user', 'wrong-password') } }).fetchManifest(appOf(registry), task))
    expect(failure).toMatchObject({ code: 'REGISTRY_ACCESS_DENIED', hasCredentials: true })
    expect(inspect(failure)).not.toContain('wrong-password')
    expect(registry.requests('GET', /manifests/u)).toHaveLength(2)
  })

  it('is found among other challenges', async () => {
    await using registry = await startWithImage(image)
    guard(registry, 'Negotiate, Digest qop="auth", nonce="a,b", Basic realm="a, Bearer realm=b"')
    const client = createTestClient({ insecure: [registry.host], logins: { [registry.host]: password('user', secret) } })
    expect((await client.fetchManifest(appOf(registry), task)).bytes).toEqual(image.manifest.bytes)
  })

  it.each(['', 'Negotiate', 'Bearer service="x"', 'junk"'])('is not guessed from the challenge %j', async (challenge) => {
    await using registry = await startWithImage(image)
    guard(registry, challenge)
    const client = createTestClient({ insecure: [registry.host], logins: { [registry.host]: password('user', secret) } })
    expect(await failureOf(client.fetchManifest(appOf(registry), task))).toBeInstanceOf(AccessDenied)
    expect(registry.log.map(({ headers }) => headers.authorization).filter((header) => header !== undefined)).toEqual([])
  })
})

describe('a token', () => {
  it('is got once for many requests of the same kind, with the login sent to the token service alone', async () => {
    await using registry = await startWithImage(image)
    await using tokens = await startTokenServer()
    registry.on({ path: /\/v2\/app/u }, tokens.guard())
    const client = createTestClient({ insecure: [registry.host, tokens.host], logins: { [registry.host]: password('user', secret) } })
    await Promise.all([1, 2, 3, 4].map(() => client.fetchManifest(appOf(registry), task)))
    expect(tokens.log).toHaveLength(1)
    expect(tokens.log[0]).toMatchObject({ method: 'GET', authorization: basic, service: 'registry.test', scopes: ['repository:app:pull'] })
    expect(inspect(registry.log, { depth: 5 })).not.toContain(basic)
  })

  it('is got without a login where there is none', async () => {
    await using registry = await startWithImage(image)
    await using tokens = await startTokenServer()
    registry.on({ path: /\/v2\/app/u }, tokens.guard())
    const client = createTestClient({ insecure: [registry.host, tokens.host], logins: { [tokens.host]: password('user', secret) } })
    expect((await client.fetchManifest(appOf(registry), task)).bytes).toEqual(image.manifest.bytes)
    expect(tokens.log[0]?.authorization).toBeUndefined()
  })

  it('is got with an identity token in the body of a POST', async () => {
    await using registry = await startWithImage(image)
    await using tokens = await startTokenServer()
    registry.on({ path: /\/v2\/app/u }, tokens.guard())
    tokens.answer = (_, response) => { reply(response, { status: 200, body: JSON.stringify({ access_token: tokens.issue() }) }) }
    const client = createTestClient({ insecure: [registry.host, tokens.host], logins: { [registry.host]: { kind: 'identity-token', token: new Secret('refresh-it') } } })
    await client.fetchManifest(appOf(registry), task)
    expect(tokens.log[0]).toMatchObject({ method: 'POST', authorization: undefined, service: 'registry.test', scopes: ['repository:app:pull'] })
    expect(Object.fromEntries(tokens.log[0]?.form ?? [])).toMatchObject({ grant_type: 'refresh_token', refresh_token: 'refresh-it' })
  })

  it('of the registry itself is sent as it is', async () => {
    await using registry = await startWithImage(image)
    await using tokens = await startTokenServer()
    registry.on({ path: /\/v2\/app/u }, tokens.guard())
    const token = new Secret(tokens.issue())
    await createTestClient({ insecure: [registry.host, tokens.host], logins: { [registry.host]: { kind: 'registry-token', token } } }).fetchManifest(appOf(registry), task)
    expect(tokens.log).toEqual([])
  })

  it('includes what the challenge wants beyond what we ask for', async () => {
    await using registry = await startWithImage(image)
    await using tokens = await startTokenServer()
    registry.on({ path: /\/v2\/app/u }, tokens.guard({ service: 'other', scope: 'repository:proxied/app:pull junk' }))
    const client = createTestClient({ insecure: [registry.host, tokens.host] })
    await client.fetchManifest(appOf(registry), task)
    await client.fetchManifest(appOf(registry), task)
    expect(tokens.log.map(({ service, scopes }) => [service, scopes])).toEqual([['other', ['repository:app:pull', 'repository:proxied/app:pull']]])
  })

  it.each([['PATCH', /uploads/u], ['PUT', /uploads/u], ['PUT', /manifests/u]])('that expires before %s %s of a push is replaced, and the push goes on', async (method, path) => {
    await using registry = await startRegistry()
    await using tokens = await startTokenServer()
    registry.on({ path: /\/v2\/app/u }, tokens.guard())
    let isFirst = true
    registry.on({ method, path }, (exchange) => {
      if (isFirst) tokens.revokeAll()
      isFirst = false
      return tokens.guard()(exchange)
    })
    const client = createTestClient({ insecure: [registry.host, tokens.host], logins: { [registry.host]: password('user', secret) } })
    await pushImage(client, { reference: appOf(registry), manifest: image.manifest, source: sourceOf(image.blobs), maxConcurrentUploads: 1 }, task)
    expect(registry.manifests.get('app 1')?.bytes).toEqual(image.manifest.bytes)
    expect(tokens.log.map(({ scopes }) => scopes)).toEqual([['repository:app:pull,push'], ['repository:app:pull,push']])
  })

  it('that the registry never takes is not got for ever', async () => {
    await using registry = await startWithImage(image)
    await using tokens = await startTokenServer()
    registry.on({ path: /\/v2\/app/u }, tokens.guard())
    tokens.answer = (_, response) => { reply(response, { status: 200, body: JSON.stringify({ token: `useless-${tokens.log.length}` }) }) }
    const failure = await failureOf(createTestClient({ insecure: [registry.host, tokens.host] }).fetchManifest(appOf(registry), task))
    expect(failure).toMatchObject({ code: 'REGISTRY_ACCESS_DENIED', hasCredentials: false })
    expect(inspect(failure)).not.toContain('useless-')
    expect(tokens.log).toHaveLength(1)
  })

  it.each([
    ['{"token":"T","expires_in":0}'], ['{"token":"T","expires_in":-1}'], ['{"token":"T","expires_in":1e18}'], ['{"token":"T"}'], ['{"token":"T","expires_in":"3600"}'],
    ['{"access_token":"T","issued_at":"2099-01-01T00:00:00Z","expires_in":300}'], ['{"token":"T","access_token":"T","expires_in":null}'],
  ])('with the life %s is used at least for the request it was got for', async (body) => {
    await using registry = await startWithImage(image)
    await using tokens = await startTokenServer()
    registry.on({ path: /\/v2\/app/u }, (exchange) => (exchange.request.headers.authorization === 'Bearer T' ? exchange.proceed() : tokens.guard()(exchange)))
    tokens.answer = (_, response) => { reply(response, { status: 200, body }) }
    const client = createTestClient({ insecure: [registry.host, tokens.host] })
    await client.fetchManifest(appOf(registry), task)
    await client.fetchManifest(appOf(registry), task)
    expect(tokens.log).toHaveLength(1)
  })

  it('that has run out is replaced before it is refused', async () => {
    await using registry = await startWithImage(image)
    await using tokens = await startTokenServer()
    registry.on({ path: /\/v2\/app/u }, tokens.guard())
    tokens.answer = (_, response) => { reply(response, { status: 200, body: JSON.stringify({ token: tokens.issue(), expires_in: 0.05 }) }) }
    const client = createTestClient({ insecure: [registry.host, tokens.host] })
    await client.fetchManifest(appOf(registry), task)
    await new Promise((resolve) => setTimeout(resolve, 60))
    await client.fetchManifest(appOf(registry), task)
    expect(registry.requests('GET', /manifests/u).map(({ headers }) => headers.authorization)).toEqual([undefined, 'Bearer token-1', 'Bearer token-2'])
  })

  it.each([
    ['no JSON', '<html>', InvalidAnswer], ['cut JSON', '{"token":"abcSECRETdef', InvalidAnswer], ['no token', '{}', InvalidAnswer],
    ['a token of two lines', '{"token":"abc\\r\\nX-Injected: SECRET"}', InvalidAnswer], ['an empty token', '{"token":""}', InvalidAnswer], ['a list', '[]', InvalidAnswer],
    ['more than a token', `{"token":"${'x'.repeat(1_100_000)}"}`, InvalidAnswer],
  ])('service that sends %s is an error that does not repeat it', async (_, body, kind) => {
    await using registry = await startWithImage(image)
    await using tokens = await startTokenServer()
    registry.on({ path: /\/v2\/app/u }, tokens.guard())
    tokens.answer = (__, response) => { reply(response, { status: 200, body }) }
    const failure = await failureOf(createTestClient({ insecure: [registry.host, tokens.host] }).fetchManifest(appOf(registry), task))
    expect(failure).toBeInstanceOf(kind)
    expect(failure).toMatchObject({ host: tokens.host })
    expect(inspect(failure, { depth: 10 })).not.toContain('SECRET')
  })

  it('service is asked again after passing failures and waited for when it wants that', async () => {
    await using registry = await startWithImage(image)
    await using tokens = await startTokenServer()
    registry.on({ path: /\/v2\/app/u }, tokens.guard())
    const usual = tokens.answer
    tokens.answer = (question, response) => {
      if (tokens.log.length > 2) usual(question, response)
      else reply(response, { status: tokens.log.length === 1 ? 503 : 429, headers: { 'retry-after': '0' } })
    }
    expect((await createTestClient({ insecure: [registry.host, tokens.host] }).fetchManifest(appOf(registry), task)).bytes).toEqual(image.manifest.bytes)
  })

  it('service that refuses the login is named together with the registry', async () => {
    await using registry = await startWithImage(image)
    await using tokens = await startTokenServer()
    registry.on({ path: /\/v2\/app/u }, tokens.guard())
    tokens.answer = (_, response) => { reply(response, { status: 401 }) }
    const failure = await failureOf(createTestClient({ insecure: [registry.host, tokens.host], logins: { [registry.host]: password('user', secret) } }).fetchManifest(appOf(registry), task))
    expect(failure).toMatchObject({ code: 'REGISTRY_ACCESS_DENIED', host: registry.host, hasCredentials: true })
    expect(String(failure)).toContain(tokens.host)
    expect(inspect(failure)).not.toContain(secret)
  })

  it('service that redirects is not followed, and no login goes anywhere', async () => {
    await using registry = await startWithImage(image)
    await using tokens = await startTokenServer()
    await using thief = await startRegistry()
    registry.on({ path: /\/v2\/app/u }, tokens.guard())
    tokens.answer = (_, response) => { reply(response, { status: 307, headers: { location: `${thief.origin}/token` } }) }
    const client = createTestClient({ insecure: [registry.host, tokens.host], logins: { [registry.host]: password('user', secret) } })
    expect(await failureOf(client.fetchManifest(appOf(registry), task))).toMatchObject({ code: 'REGISTRY_UNEXPECTED_STATUS', status: 307 })
    expect(thief.log).toEqual([])
  })
})

describe('a realm', () => {
  it.each([
    ['http://169.254.169.254/token'], ['http://[fe80::1]/token'], ['ftp://127.0.0.1/token'], ['file:///token'], ['http://user:pw@127.0.0.1/token'], [''],
  ])('%j gets no login', async (realm) => {
    await using registry = await startWithImage(image)
    registry.on({ path: /\/v2\/app/u }, answer(401, { 'www-authenticate': `Bearer realm="${realm}",service="x"` }))
    const client = createTestClient({ insecure: [registry.host], logins: { [registry.host]: password('user', secret) } })
    const failure = await failureOf(client.fetchManifest(appOf(registry), task))
    expect(failure).toBeInstanceOf(ForbiddenTarget)
    expect(failure).toMatchObject({ kind: 'token realm' })
  })

  it('without TLS gets no login unless the configuration allows that very host', async () => {
    await using registry = await startWithImage(image)
    await using tokens = await startTokenServer()
    registry.on({ path: /\/v2\/app/u }, tokens.guard())
    const client = createTestClient({ insecure: [registry.host], secure: [tokens.host], logins: { [registry.host]: password('user', secret) } })
    const failure = await failureOf(client.fetchManifest(appOf(registry), task))
    expect(failure).toMatchObject({ code: 'REGISTRY_FORBIDDEN_TARGET', target: `http://${tokens.host}` })
    expect(String(failure)).toContain(`location = "${tokens.host}" insecure = true`)
    expect(tokens.log).toEqual([])
  })

  it('at the registry itself needs no word of its own in the configuration', async () => {
    await using registry = await startWithImage(image)
    registry.on({ path: /token/u }, ({ response }) => { reply(response, { status: 200, body: '{"token":"T"}' }) })
    registry.on({ path: /\/v2\/app/u }, (exchange) => (exchange.request.headers.authorization === 'Bearer T' ? exchange.proceed() : answer(401, { 'www-authenticate': `Bearer realm="${registry.origin}/token?keep=1"` })(exchange)))
    const client = createTestClient({ insecure: [registry.host], logins: { [registry.host]: password('user', secret) } })
    expect((await client.fetchManifest(appOf(registry), task)).bytes).toEqual(image.manifest.bytes)
    expect(registry.requests('GET', /token/u)[0]?.path).toBe('/token?keep=1&scope=repository%3Aapp%3Apull&account=user')
  })

  it('of a mirror gets the login stored for the mirror, not that of the registry it mirrors', async () => {
    await using mirror = await startWithImage(image)
    await using tokens = await startTokenServer()
    mirror.on({ path: /\/v2\/app/u }, tokens.guard())
    const rule = { prefix: 'origin.test', location: 'origin.test', isInsecure: false, isBlocked: false, path: 'test', mirrors: [{ location: mirror.host, isInsecure: true, pullFrom: 'all' as const }] }
    const client = createTestClient({ insecure: [tokens.host], rules: [rule], logins: { 'origin.test': password('user', secret) } })
    await client.fetchManifest(parseReference('origin.test/app:1'), task)
    expect(tokens.log.map(({ authorization }) => authorization)).toEqual([undefined])
    expect(inspect([mirror.log, tokens.log], { depth: 6 })).not.toContain(basic)
  })
})
