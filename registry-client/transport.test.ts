import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Authority, Certificate } from '../test/support/certificates.ts'
import { createAuthority, trust } from '../test/support/certificates.ts'
import type { TestClientOptions } from '../test/support/client.ts'
import { createTestClient, insecureRule, lookupTable, password, secureRule } from '../test/support/client.ts'
import { collect, createImage, publish, startWithImage } from '../test/support/images.ts'
import type { TlsFiles } from '../test/support/registry.ts'
import { answer, startRegistry } from '../test/support/registry.ts'
import { failureOf, recordingTask } from '../test/support/task.ts'
import { startTokenServer } from '../test/support/token-server.ts'
import type { FetchedManifest } from './client.ts'
import { noProxies } from './config/proxies.ts'
import { defaultLimits } from './http/limits.ts'
import { parseReference } from './reference.ts'
import { createTransport } from './transport.ts'

const image = createImage({ layerBytes: [100_000] })
const [layer = image.config] = image.layers
const task = recordingTask()
/** The type of a TLS record. */
const handshake = 22
/** In the first message of a client that offers TLS 1.3 and 1.2. @see RFC 8446, 4.2.1 */
const supportedVersions = Buffer.from('002b00050403040303', 'hex')
let directory: string
let certs: string
let round = 0
let authority: Authority
let other: Authority
let own: Certificate
let expired: Certificate
let elsewhere: Certificate
let client: Certificate

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'transport-'))
  authority = await createAuthority(directory, 'authority')
  other = await createAuthority(directory, 'other')
  own = await authority.issue('own', { names: ['IP:127.0.0.1', 'DNS:registry.test'] })
  expired = await authority.issue('expired', { names: ['IP:127.0.0.1'], days: -1 })
  elsewhere = await authority.issue('elsewhere', { names: ['DNS:elsewhere.test'] })
  client = await authority.issue('client', { names: [] })
})
afterAll(async () => { await rm(directory, { recursive: true }) })
beforeEach(() => { certs = join(directory, `certs-${String(round += 1)}`) })

function fetchManifest(host: string, options: TestClientOptions = {}): Promise<FetchedManifest> {
  const secure = options.insecure?.includes(host) === true ? [] : [host]
  return createTestClient({ certificateDirectories: [certs], ...options, secure: [...secure, ...options.secure ?? []] }).fetchManifest(parseReference(`${host}/app:1`), task)
}

describe('TLS', () => {
  it('trusts the authority in the folder of the host', async () => {
    await using registry = await startWithImage(image, { tls: own })
    await trust(certs, registry.host, { 'ca.crt': authority.certificate })
    expect((await fetchManifest(registry.host)).bytes).toEqual(image.manifest.bytes)
  })

  it('takes an authority in the folder of one host for that host only', async () => {
    await using registry = await startWithImage(image, { tls: own })
    await using neighbour = await startWithImage(image, { tls: own })
    await trust(certs, registry.host, { 'ca.crt': authority.certificate })
    const failure = await failureOf(fetchManifest(neighbour.host))
    expect(failure).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'tls', isTransient: false })
    expect(String(failure)).toContain('certs.d')
    expect(neighbour.log).toEqual([])
  })

  it('trusts the authorities of the system', async () => {
    await using registry = await startWithImage(image, { tls: own })
    const reference = JSON.stringify(`${registry.host}/app:1`)
    const script = `
      import { createRegistryClient, noCredentials, noRegistriesConfig, parseReference } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))}
      const client = createRegistryClient({ registries: { ...noRegistriesConfig, rules: [${JSON.stringify(secureRule(registry.host))}] }, credentials: noCredentials, certificateDirectories: [], userAgent: 'test' })
      const task = { signal: new AbortController().signal, emit: () => undefined }
      await client.resolve(parseReference(${reference}), task)
      const { descriptor } = await client.fetchManifest(parseReference(${reference}), task)
      process.stdout.write(descriptor.digest)`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { env: { SSL_CERT_FILE: authority.path } })
    expect(stdout).toBe(image.manifest.descriptor.digest)
    // One without, one with the system's authorities, and that one kept.
    expect(registry.connections).toBe(2)
  })

  it.each([
    ['expired', () => expired, 'CERT_HAS_EXPIRED'],
    ['for another name', () => elsewhere, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ])('refuses a certificate that is %s', async (_, certificate, detail) => {
    await using registry = await startWithImage(image, { tls: certificate() })
    await trust(certs, registry.host, { 'ca.crt': authority.certificate })
    expect(await failureOf(fetchManifest(registry.host))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'tls', detail })
    expect(registry.log).toEqual([])
  })

  it('refuses a certificate of another authority', async () => {
    await using registry = await startWithImage(image, { tls: own })
    await trust(certs, registry.host, { 'ca.crt': other.certificate })
    expect(await failureOf(fetchManifest(registry.host))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'tls' })
  })

  it('refuses versions nobody should use any more', async () => {
    const old: TlsFiles & { maxVersion: string; minVersion: string; ciphers: string } = { key: own.key, cert: own.cert, maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' }
    await using registry = await startWithImage(image, { tls: old })
    await trust(certs, registry.host, { 'ca.crt': authority.certificate })
    expect(await failureOf(fetchManifest(registry.host))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'tls' })
    expect(registry.log).toEqual([])
  })

  it('is not agreed on again in the middle of an answer', async () => {
    const tls: TlsFiles & { maxVersion: string } = { key: own.key, cert: own.cert, maxVersion: 'TLSv1.2' }
    await using registry = await startWithImage(image, { tls })
    await trust(certs, registry.host, { 'ca.crt': authority.certificate })
    const { bytes, mediaType } = image.manifest
    let wishes = 0
    registry.on({ path: /manifests/u }, ({ request: { socket }, response }) => {
      if (!(socket instanceof TLSSocket)) throw new TypeError('there is no TLS')
      response.writeHead(200, { 'content-type': mediaType, 'content-length': bytes.byteLength })
      response.write(bytes.subarray(0, 10))
      wishes += 1
      socket.renegotiate({}, () => { response.end(bytes.subarray(10)) })
    })
    expect(await failureOf(fetchManifest(registry.host))).toMatchObject({ code: 'REGISTRY_UNREACHABLE' })
    expect(wishes).toBeGreaterThan(0)
  })

  it('is not talked down to an older version by somebody on the way', async () => {
    await using registry = await startWithImage(image, { tls: own })
    const greetings: Buffer[] = []
    const between = createServer((client) => {
      const server = connect(Number(registry.host.split(':')[1]), '127.0.0.1')
      client.once('data', (greeting: Buffer) => {
        greetings.push(Buffer.from(greeting))
        // The extension that offers TLS 1.3 gets a number that means nothing.
        greeting.writeUInt16BE(0x5a5a, greeting.indexOf(supportedVersions))
        server.write(greeting)
        client.pipe(server).pipe(client)
      })
      for (const [one, other] of [[client, server], [server, client]] as const) one.on('error', () => other.destroy())
    })
    await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve))
    const host = `127.0.0.1:${(between.address() as AddressInfo).port}`
    await trust(certs, host, { 'ca.crt': authority.certificate })
    expect(await failureOf(fetchManifest(host))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'tls', isTransient: false })
    // Nor does it try again with less than it can, or without TLS.
    expect(greetings.map((greeting) => [greeting[0], greeting.includes(supportedVersions)])).toEqual([[handshake, true]])
    expect(registry.log).toEqual([])
    between.close()
  })

  it('is not checked where the configuration says so', async () => {
    await using registry = await startWithImage(image, { tls: expired })
    expect((await fetchManifest(registry.host, { insecure: [registry.host] })).bytes).toEqual(image.manifest.bytes)
  })

  it('is checked for one repository although it is not for another of the same host', async () => {
    await using registry = await startWithImage(image, { tls: own })
    publish(registry, image, { repository: 'loose/app', tag: '1' })
    const client = createTestClient({ secure: [registry.host], rules: [{ ...insecureRule(registry.host), prefix: `${registry.host}/loose`, location: `${registry.host}/loose` }] })
    await client.fetchManifest(parseReference(`${registry.host}/loose/app:1`), task)
    expect(await failureOf(client.fetchManifest(parseReference(`${registry.host}/app:1`), task))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'tls' })
  })

  it('shows a client certificate to the host it is for, and to no other', async () => {
    await using registry = await startWithImage(image, { tls: { ...own, ca: authority.certificate, requestCert: true } })
    await trust(certs, registry.host, { 'ca.crt': authority.certificate })
    expect(await failureOf(fetchManifest(registry.host))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'tls' })
    await trust(certs, registry.host, { 'me.cert': client.cert, 'me.key': client.key })
    expect((await fetchManifest(registry.host)).bytes).toEqual(image.manifest.bytes)

    await using blobHost = await startRegistry({ tls: { ...own, ca: authority.certificate, requestCert: true } })
    await trust(certs, blobHost.host, { 'ca.crt': authority.certificate })
    registry.on({ path: /blobs/u }, answer(307, { location: `${blobHost.origin}/x` }))
    const blob = createTestClient({ certificateDirectories: [certs] }).fetchBlob(parseReference(`${registry.host}/app:1`), layer, task)
    expect(await failureOf(collect(blob))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'tls', host: blobHost.host })
  })

  it('wants both halves of a client certificate', async () => {
    await using registry = await startWithImage(image, { tls: own })
    await trust(certs, registry.host, { 'me.cert': client.cert })
    expect(await failureOf(fetchManifest(registry.host))).toMatchObject({ code: 'REGISTRY_INVALID_CONFIGURATION', path: join(certs, registry.host, 'me.cert') })
  })

  it('is checked by name when a name is asked for', async () => {
    await using registry = await startWithImage(image, { tls: own })
    const port = registry.host.split(':')[1] ?? ''
    await trust(certs, `registry.test:${port}`, { 'ca.crt': authority.certificate })
    await trust(certs, `wrong.test:${port}`, { 'ca.crt': authority.certificate })
    const lookup = lookupTable({ 'registry.test': '127.0.0.1', 'wrong.test': '127.0.0.1' })
    expect((await fetchManifest(`registry.test:${port}`, { lookup })).bytes).toEqual(image.manifest.bytes)
    expect(await failureOf(fetchManifest(`wrong.test:${port}`, { lookup }))).toMatchObject({ reason: 'tls', detail: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  })
})

describe('a new connection', () => {
  it('that takes nothing of what is sent is left', async () => {
    const server = createServer((socket) => socket.pause())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    const limits = { ...defaultLimits, idleMs: 150 }
    const transport = createTransport({ limits, userAgent: 'test', certificateDirectories: [], proxies: noProxies })
    const body = { sizeBytes: 2 ** 40, async *open() { for (;;) yield await Promise.resolve(Buffer.alloc(65536)) } }
    const sending = transport.send({ method: 'PUT', url, headers: {}, body, trust: 'unchecked', sentBy: undefined, answerMs: 60_000 }, new AbortController().signal)
    expect(await failureOf(sending)).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'timeout' })
    server.close()
  })
})

describe('a host that a registry sends us to', () => {
  it('as token service is checked on its own', async () => {
    await using registry = await startWithImage(image, { tls: own })
    await using tokens = await startTokenServer({ tls: own })
    await trust(certs, registry.host, { 'ca.crt': authority.certificate })
    registry.on({ path: /v2\/app/u }, tokens.guard())
    const logins = { [registry.host]: password('user', 'secret') }
    expect(await failureOf(fetchManifest(registry.host, { logins, secure: [tokens.host] }))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'tls', host: tokens.host })
    expect(await failureOf(fetchManifest(registry.host, { logins, insecure: [registry.host], secure: [tokens.host] }))).toMatchObject({ reason: 'tls', host: tokens.host })
    expect(tokens.log).toEqual([])
    await trust(certs, tokens.host, { 'ca.crt': authority.certificate })
    expect((await fetchManifest(registry.host, { logins })).bytes).toEqual(image.manifest.bytes)
  })

  it('as token service must have TLS when the registry has', async () => {
    await using registry = await startWithImage(image, { tls: own })
    await using tokens = await startTokenServer()
    registry.on({ path: /v2\/app/u }, tokens.guard())
    const options = { insecure: [registry.host, tokens.host], logins: { [registry.host]: password('user', 'secret') } }
    expect(await failureOf(fetchManifest(registry.host, options))).toMatchObject({ code: 'REGISTRY_FORBIDDEN_TARGET', kind: 'token realm' })
    expect(tokens.log).toEqual([])
  })

  it('for a blob is checked on its own, and must have TLS when the registry has', async () => {
    await using registry = await startWithImage(image, { tls: own })
    await using secure = await startRegistry({ tls: own })
    await using plain = await startRegistry()
    await trust(certs, registry.host, { 'ca.crt': authority.certificate })
    const pull = (): Promise<Buffer> => collect(createTestClient({ certificateDirectories: [certs], insecure: [plain.host], secure: [registry.host, secure.host] }).fetchBlob(parseReference(`${registry.host}/app:1`), layer, task))
    registry.on({ path: /blobs/u }, answer(307, { location: `${plain.origin}/x` }))
    expect(await failureOf(pull())).toMatchObject({ code: 'REGISTRY_FORBIDDEN_TARGET' })
    registry.on({ path: /blobs/u }, answer(307, { location: `${secure.origin}/x` }))
    expect(await failureOf(pull())).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'tls', host: secure.host })
    const unchecked = createTestClient({ insecure: [registry.host], secure: [secure.host] }).fetchBlob(parseReference(`${registry.host}/app:1`), layer, task)
    expect(await failureOf(collect(unchecked))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'tls', host: secure.host })
    expect([secure.log, plain.log]).toEqual([[], []])
  })
})
