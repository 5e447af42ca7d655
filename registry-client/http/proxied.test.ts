import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Authority, Certificate } from '../../test/support/certificates.ts'
import { createAuthority, trust } from '../../test/support/certificates.ts'
import { createTestClient } from '../../test/support/client.ts'
import type { ForwardProxy } from '../../test/support/forward-proxy.ts'
import { startForwardProxy } from '../../test/support/forward-proxy.ts'
import { collect, createImage, publish, sourceOf } from '../../test/support/images.ts'
import type { TestRegistry } from '../../test/support/registry.ts'
import { answer, startRegistry } from '../../test/support/registry.ts'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import type { RegistryClient } from '../client.ts'
import { loadProxies } from '../config/proxies.ts'
import type { Limits } from './limits.ts'
import { pushImage } from '../push.ts'
import type { Reference } from '../reference.ts'
import { parseReference } from '../reference.ts'

const image = createImage({ layerBytes: [3_000_000] })
const [layer = image.config] = image.layers
const task = recordingTask()
let directory: string
let authority: Authority
let own: Certificate

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'proxied-'))
  authority = await createAuthority(directory, 'authority')
  own = await authority.issue('own', { names: ['DNS:registry.test', 'IP:127.0.0.1'] })
})
afterAll(async () => { await rm(directory, { recursive: true }) })

async function startWithImage(isSecure: boolean): Promise<{ registry: TestRegistry; reference: Reference; host: string; [Symbol.asyncDispose]: () => Promise<void> }> {
  const registry = await startRegistry(isSecure ? { tls: own } : {})
  publish(registry, image, { repository: 'app', tag: '1' })
  const host = `registry.test:${registry.host.split(':')[1] ?? ''}`
  await trust(directory, host, { 'ca.crt': authority.certificate })
  return { registry, host, reference: parseReference(`${host}/app:1`), [Symbol.asyncDispose]: async () => { await registry[Symbol.asyncDispose]() } }
}

function clientFor(proxy: ForwardProxy, options: { insecure?: readonly string[]; login?: string; noProxy?: string; limits?: Partial<Limits> } = {}): RegistryClient {
  const url = proxy.url.replace('://', `://${options.login ?? ''}`)
  const proxies = loadProxies({ HTTP_PROXY: url, HTTPS_PROXY: url, NO_PROXY: options.noProxy })
  return createTestClient({ ...(options.limits === undefined ? {} : { limits: options.limits }), proxies, certificateDirectories: [directory], insecure: options.insecure ?? [] })
}

describe('through a proxy', () => {
  it('a registry without TLS is pulled from and pushed to by whole addresses', async () => {
    await using proxy = await startForwardProxy()
    await using served = await startWithImage(false)
    const client = clientFor(proxy, { insecure: [served.host], login: 'me:p%40ss@' })
    expect((await client.fetchManifest(served.reference, task)).bytes).toEqual(image.manifest.bytes)
    expect(await collect(client.fetchBlob(served.reference, layer, task))).toHaveLength(3_000_000)
    const fresh = createImage({ layerBytes: [3_000_000] })
    await pushImage(client, { reference: parseReference(`${served.host}/fresh:1`), manifest: fresh.manifest, source: sourceOf(fresh.blobs), maxConcurrentUploads: 2 }, task)
    expect(served.registry.manifests.has('fresh 1')).toBe(true)
    expect(proxy.log).toContainEqual({ request: `GET http://${served.host}/v2/app/manifests/1`, authorization: `Basic ${btoa('me:p@ss')}` })
    expect(inspect(served.registry.log)).not.toContain('proxy-authorization')
  })

  it('a registry with TLS is checked by us, and the proxy sees nothing but its name', async () => {
    await using proxy = await startForwardProxy()
    await using served = await startWithImage(true)
    const client = clientFor(proxy, { login: 'me:secret@' })
    expect((await client.fetchManifest(served.reference, task)).bytes).toEqual(image.manifest.bytes)
    expect(await collect(client.fetchBlob(served.reference, layer, task))).toHaveLength(3_000_000)
    expect(proxy.log).toEqual([{ request: `CONNECT ${served.host}`, authorization: `Basic ${btoa('me:secret')}` }])
    await trust(directory, served.host, { 'ca.crt': (await createAuthority(directory, 'stranger')).certificate })
    expect(await failureOf(clientFor(proxy).fetchManifest(served.reference, task))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'tls', host: served.host })
  })

  it('a proxy that is spoken to with TLS is checked', async () => {
    await using proxy = await startForwardProxy({ tls: own })
    await using served = await startWithImage(true)
    expect((await clientFor(proxy).fetchManifest(served.reference, task)).bytes).toEqual(image.manifest.bytes)
    const unchecked = clientFor(proxy, { insecure: [served.host] })
    expect(await failureOf(unchecked.fetchManifest(served.reference, task))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'proxy' })
  })

  it('what NO_PROXY names is reached directly', async () => {
    await using proxy = await startForwardProxy()
    await using served = await startWithImage(false)
    expect((await clientFor(proxy, { insecure: [served.registry.host] }).fetchManifest(parseReference(`${served.registry.host}/app:1`), task)).bytes).toEqual(image.manifest.bytes)
    const direct = clientFor(proxy, { insecure: [served.host], noProxy: '.test' })
    expect(await failureOf(direct.fetchManifest(served.reference, task))).toMatchObject({ reason: 'dns' })
    expect(proxy.log).toEqual([])
  })

  it.each(['http://10.0.0.7/x', 'http://127.0.0.1:1/x', 'http://169.254.169.254/x'])('a registry leads to no inner address such as %s', async (target) => {
    await using proxy = await startForwardProxy()
    await using served = await startWithImage(false)
    served.registry.on({ path: /blobs/u }, answer(307, { location: target }))
    const client = clientFor(proxy, { insecure: [served.host] })
    expect(await failureOf(collect(client.fetchBlob(served.reference, layer, task)))).toMatchObject({ code: 'REGISTRY_FORBIDDEN_TARGET' })
  })
})

describe.each([['with', true], ['without', false]] as const)('a proxy on the way to a registry %s TLS', (_, isSecure) => {
  const fetchThrough = async (refuse: (text: string) => ForwardProxy['refuse'], { text = '', limits = {} }: { readonly text?: string; readonly limits?: Partial<Limits> } = {}): Promise<{ failure: unknown; tries: number }> => {
    await using proxy = await startForwardProxy()
    await using served = await startWithImage(isSecure)
    proxy.refuse = refuse(text)
    const failure = await failureOf(clientFor(proxy, { insecure: isSecure ? [] : [served.host], login: 'me:hunter2@', limits }).fetchManifest(served.reference, task))
    expect(inspect(failure, { depth: 10 })).not.toMatch(/hunter2|bWU6aHVudGVy/u)
    return { failure, tries: proxy.log.filter(({ request }) => isSecure || request.startsWith('GET http://')).length }
  }
  const say = (text: string) => (socket: { end: (text: string) => unknown }): void => { socket.end(text) }

  it('that wants another login is named, with the remedy', async () => {
    const { failure } = await fetchThrough(say, { text: 'HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n' })
    expect(failure).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'proxy', detail: '407', isTransient: false })
    expect(String(failure)).toContain('wants another username and password: HTTPS_PROXY=')
  })

  it('that resets connections is tried again and then named', async () => {
    const { failure, tries } = await fetchThrough(() => (socket) => { socket.destroy() })
    expect(failure).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'proxy', detail: 'ECONNRESET' })
    expect(tries).toBeGreaterThanOrEqual(3)
  })

  it('that never answers is left in time', async () => {
    const { failure } = await fetchThrough(() => () => undefined, { limits: { connectMs: 200, answerMs: 200 } })
    expect(failure).toMatchObject({ code: 'REGISTRY_UNREACHABLE', isTransient: true })
  })
})

it('a proxy that nobody listens at is named, and a tunnel that is given up leaves nothing to wait for', async () => {
  const proxy = await startForwardProxy()
  await using served = await startWithImage(true)
  const controller = new AbortController()
  proxy.refuse = () => { controller.abort(new Error('enough')) }
  expect(String(await failureOf(clientFor(proxy).fetchManifest(served.reference, recordingTask(controller.signal))))).toContain('enough')
  await proxy[Symbol.asyncDispose]()
  expect(await failureOf(clientFor(proxy).fetchManifest(served.reference, task))).toMatchObject({ reason: 'proxy', detail: 'ECONNREFUSED' })
})
