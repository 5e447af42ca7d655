import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { Environment, Reference, RegistryClient, TransferEvent } from '../../registry-client/index.ts'
import { openRegistryClient, parseReference, pullImage, pushImage, saveCredentials, Secret } from '../../registry-client/index.ts'
import { createAccessToken } from '../support/access-token.ts'
import type { Authority, Certificate } from '../support/certificates.ts'
import { createAuthority, trust } from '../support/certificates.ts'
import { startCuttingProxy } from '../support/cutting-proxy.ts'
import type { DockerRegistry } from '../support/docker-registry.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import type { TestImage } from '../support/images.ts'
import { collect, createImage, sourceOf } from '../support/images.ts'
import { readLayoutBlob, readLayoutIndex, writeLayout } from '../support/oci-layout.ts'
import { reply } from '../support/registry.ts'
import { failureOf, recordingTask } from '../support/task.ts'
import type { TokenServer } from '../support/token-server.ts'
import { startTokenServer } from '../support/token-server.ts'

const run = promisify(execFile)
const platform = { os: 'linux', architecture: 'amd64' }
const task = recordingTask()
const userAgent = 'tsbuild-test'
const password = 'pass:word of-the-test'
let directory: string
let home: string
let env: Environment
let authority: Authority
let own: Certificate

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'registry-e2e-'))
  authority = await createAuthority(directory, 'authority')
  own = await authority.issue('own', { names: ['IP:127.0.0.1', 'DNS:localhost'] })
})
afterAll(async () => { await rm(directory, { recursive: true }) })
beforeEach(async () => {
  home = await mkdtemp(join(directory, 'home-'))
  env = { HOME: home, PATH: process.env['PATH'], CONTAINERS_REGISTRIES_CONF_DIR: join(home, 'none') }
})
afterEach(async () => { await rm(home, { recursive: true }) })

async function configure(text: string): Promise<void> {
  await mkdir(join(home, '.config/containers'), { recursive: true })
  await writeFile(join(home, '.config/containers/registries.conf'), text)
}

const insecure = (host: string): string => `[[registry]]\nlocation = "${host}"\ninsecure = true\n`
const secure = (host: string): string => `[[registry]]\nlocation = "${host}"\ninsecure = false\n`
const reference = (host: string, name = 'team/app:1'): Reference => parseReference(`${host}/${name}`)

async function push(client: RegistryClient, image: TestImage, to: Reference): Promise<TransferEvent[]> {
  const watched = recordingTask()
  await pushImage(client, { reference: to, manifest: image.manifest, source: sourceOf(image.blobs), maxConcurrentUploads: 3 }, watched)
  return watched.events.filter(({ outcome }) => outcome !== 'running')
}

/** Pulls the whole image and says whether every byte is right. */
async function pullsBack(client: RegistryClient, image: TestImage, from: Reference): Promise<boolean> {
  const pulled = await pullImage(client, { reference: from, platform }, task)
  const layers = await Promise.all(image.layers.map((layer) => collect(client.fetchBlob(from, layer, task))))
  return image.manifest.bytes.equals(pulled.manifest.bytes) && image.layers.every((layer, index) => layers[index]?.equals(image.blobs.get(layer.digest) ?? Buffer.alloc(0)) === true)
}

describe('a registry without TLS', () => {
  let registry: DockerRegistry
  let image: TestImage
  beforeAll(async () => { registry = await startDockerRegistry({ directory: join(directory, 'plain') }) })
  afterAll(async () => { await registry[Symbol.asyncDispose]() })
  beforeEach(async () => {
    await configure(insecure(registry.host))
    image = createImage({ layerBytes: [100, 3_000_000, 9_000_000] })
  })

  it('takes and gives an image, and is sent nothing twice', async () => {
    const client = await openRegistryClient(env, { userAgent })
    expect((await push(client, image, reference(registry.host))).map(({ outcome }) => outcome)).toEqual(['transferred', 'transferred', 'transferred', 'transferred'])
    expect(await pullsBack(client, image, reference(registry.host))).toBe(true)
    expect((await push(client, image, reference(registry.host, 'team/app:2'))).map(({ outcome }) => outcome)).toEqual(['present', 'present', 'present', 'present'])
    expect(await client.resolve(reference(registry.host, 'team/app:2'), task)).toEqual(image.manifest.descriptor)
    expect(await client.resolve(reference(registry.host, 'team/app:3'), task)).toBeUndefined()
  })

  it('needs no word in the configuration on this machine, unless it is to have TLS', async () => {
    await configure('')
    expect(await (await openRegistryClient(env, { userAgent })).resolve(reference(registry.host, 'none:1'), task)).toBeUndefined()
    await configure(secure(registry.host))
    const client = await openRegistryClient(env, { userAgent })
    expect(await failureOf(client.resolve(reference(registry.host), task))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'plain-http' })
  })

  it('mounts blobs from another of its repositories', async () => {
    const client = await openRegistryClient(env, { userAgent })
    await push(client, image, reference(registry.host, 'base/image:1'))
    const source = { ...sourceOf(new Map()), origins: () => [reference(registry.host, 'base/image:1')] }
    const watched = recordingTask()
    await pushImage(client, { reference: reference(registry.host, 'derived:1'), manifest: image.manifest, source, maxConcurrentUploads: 3 }, watched)
    expect(new Set(watched.events.map(({ outcome }) => outcome))).toEqual(new Set(['mounted']))
    expect(await pullsBack(client, image, reference(registry.host, 'derived:1'))).toBe(true)
  })

  it('gives skopeo what we pushed, and us what skopeo pushed', async () => {
    const client = await openRegistryClient(env, { userAgent })
    await push(client, image, reference(registry.host, 'ours:1'))
    const layout = join(home, 'layout')
    await run('skopeo', ['copy', '--preserve-digests', '--src-tls-verify=false', `docker://${registry.host}/ours:1`, `oci:${layout}:x`])
    expect((await readLayoutIndex(layout)).manifests[0]?.digest).toBe(image.manifest.descriptor.digest)
    for (const layer of image.layers) expect((await readLayoutBlob(layout, layer)).equals(image.blobs.get(layer.digest) ?? Buffer.alloc(0))).toBe(true)

    const theirs = createImage({ layerBytes: [5_000_000, 10] })
    await writeLayout(join(home, 'theirs'), theirs, 'x')
    await run('skopeo', ['copy', '--preserve-digests', '--dest-tls-verify=false', `oci:${join(home, 'theirs')}:x`, `docker://${registry.host}/theirs:1`])
    expect(await pullsBack(client, theirs, reference(registry.host, 'theirs:1'))).toBe(true)
  })

  it('gives the image of the platform, also in Docker\'s own formats', async () => {
    const client = await openRegistryClient(env, { userAgent })
    const arm = createImage({ platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } })
    for (const part of [image, arm]) await push(client, part, { ...reference(registry.host, 'multi'), tag: undefined, digest: part.manifest.descriptor.digest })
    const entries = [{ ...arm.manifest.descriptor, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }, { ...image.manifest.descriptor, platform }]
    const mediaType = 'application/vnd.docker.distribution.manifest.list.v2+json'
    const index = { bytes: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: entries })), mediaType }
    const target = await client.pushManifest(reference(registry.host, 'multi:1'), index, task)
    for (const [architecture, part] of [['amd64', image], ['arm64', arm]] as const) {
      const pulled = await pullImage(client, { reference: reference(registry.host, 'multi:1'), platform: { os: 'linux', architecture } }, task)
      expect(pulled).toMatchObject({ target, manifest: { descriptor: part.manifest.descriptor } })
    }
    const { stdout } = await run('skopeo', ['inspect', '--tls-verify=false', '--raw', `docker://${registry.host}/multi:1`])
    expect(stdout).toBe(index.bytes.toString())
  })

  it('is pushed to through a network that cuts a connection', async () => {
    await using proxy = await startCuttingProxy(registry.host, { direction: 'sent', bytes: 8_000_000, times: 1 })
    await configure(insecure(proxy.host))
    const big = createImage({ layerBytes: [30_000_000] })
    const client = await openRegistryClient(env, { userAgent })
    await push(client, big, reference(proxy.host, 'cut/push:1'))
    // This registry drops an upload whose request broke, so it began anew.
    expect(proxy.cuts).toBe(1)
    await configure(insecure(registry.host))
    expect(await pullsBack(await openRegistryClient(env, { userAgent }), big, reference(registry.host, 'cut/push:1'))).toBe(true)
  })

  it('is pulled from through a network that cuts connections, with little fetched twice', async () => {
    const big = createImage({ layerBytes: [30_000_000] })
    await push(await openRegistryClient(env, { userAgent }), big, reference(registry.host, 'cut/pull:1'))
    await using proxy = await startCuttingProxy(registry.host, { direction: 'received', bytes: 8_000_000, times: 3 })
    await configure(insecure(proxy.host))
    expect(await pullsBack(await openRegistryClient(env, { userAgent }), big, reference(proxy.host, 'cut/pull:1'))).toBe(true)
    expect(proxy.cuts).toBe(3)
    expect(proxy.passed.receivedBytes).toBeLessThan(30_500_000)
  })

  it('serves as mirror of one that is gone, and gets no pushes meant for it', async () => {
    await push(await openRegistryClient(env, { userAgent }), image, reference(registry.host, 'mirrored/team/app:1'))
    await configure(`[[registry]]\nprefix = "127.0.0.1:1"\nlocation = "127.0.0.1:1"\n[[registry.mirror]]\nlocation = "127.0.0.1:2"\ninsecure = true\n[[registry.mirror]]\nlocation = "${registry.host}/mirrored"\ninsecure = true\n`)
    const client = await openRegistryClient(env, { userAgent })
    expect(await pullsBack(client, image, reference('127.0.0.1:1'))).toBe(true)
    const gone = await failureOf(client.fetchManifest(reference('127.0.0.1:1', 'team/other:1'), task))
    expect(gone).toMatchObject({ code: 'REGISTRY_ALL_PLACES_FAILED', failures: [{ error: { code: 'REGISTRY_MANIFEST_UNKNOWN' } }, { error: { reason: 'refused' } }, { error: { reason: 'refused' } }] })
  })
})

describe('a registry with TLS', () => {
  let registry: DockerRegistry
  beforeAll(async () => { registry = await startDockerRegistry({ directory: join(directory, 'secure'), tls: own }) })
  afterAll(async () => { await registry[Symbol.asyncDispose]() })

  it('is trusted by its authority in certs.d, as skopeo trusts it', async () => {
    await configure(secure(registry.host))
    const image = createImage({ layerBytes: [2_000_000] })
    const untrusting = await openRegistryClient(env, { userAgent })
    expect(await failureOf(untrusting.resolve(reference(registry.host), task))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'tls' })
    const certs = join(home, '.config/containers/certs.d')
    await trust(certs, registry.host, { 'ca.crt': authority.certificate })
    const client = await openRegistryClient(env, { userAgent })
    await push(client, image, reference(registry.host))
    expect(await pullsBack(client, image, reference(registry.host))).toBe(true)
    const { stdout } = await run('skopeo', ['inspect', '--cert-dir', join(certs, registry.host), '--raw', `docker://${registry.host}/team/app:1`])
    expect(stdout).toBe(image.manifest.bytes.toString())
  })

  it('is used unchecked where the configuration says so', async () => {
    await configure(insecure(registry.host))
    const image = createImage()
    const client = await openRegistryClient(env, { userAgent })
    await push(client, image, reference(registry.host, 'unchecked:1'))
    expect(await pullsBack(client, image, reference(registry.host, 'unchecked:1'))).toBe(true)
  })
})

describe('a registry that asks for a password', () => {
  let registry: DockerRegistry
  beforeAll(async () => {
    const path = join(directory, 'htpasswd')
    const { stdout } = await run('htpasswd', ['-Bbn', 'user', password])
    await writeFile(path, stdout)
    registry = await startDockerRegistry({ directory: join(directory, 'basic'), tls: own, auth: { kind: 'htpasswd', path } })
  })
  afterAll(async () => { await registry[Symbol.asyncDispose]() })
  beforeEach(async () => {
    await configure(secure(registry.host))
    await trust(join(home, '.config/containers/certs.d'), registry.host, { 'ca.crt': authority.certificate })
  })

  it('gets the one that was saved for it', async () => {
    await saveCredentials(env, { registry: registry.host, username: 'user', password: new Secret(password) }, task)
    const image = createImage({ layerBytes: [2_000_000] })
    const client = await openRegistryClient(env, { userAgent })
    await push(client, image, reference(registry.host))
    expect(await pullsBack(client, image, reference(registry.host))).toBe(true)
  })

  it('gets the one that skopeo logged in with', async () => {
    const authfile = join(home, 'auth.json')
    await run('skopeo', ['login', '--authfile', authfile, '--cert-dir', join(home, '.config/containers/certs.d', registry.host), '-u', 'user', '-p', password, registry.host])
    const client = await openRegistryClient({ ...env, REGISTRY_AUTH_FILE: authfile }, { userAgent })
    expect(await client.resolve(reference(registry.host, 'none:1'), task)).toBeUndefined()
  })

  it('denies a wrong one and none, and says which', async () => {
    const without = await failureOf((await openRegistryClient(env, { userAgent })).resolve(reference(registry.host), task))
    expect(without).toMatchObject({ code: 'REGISTRY_ACCESS_DENIED', hasCredentials: false })
    await saveCredentials(env, { registry: registry.host, username: 'user', password: new Secret('wrong') }, task)
    const wrong = await failureOf((await openRegistryClient(env, { userAgent })).resolve(reference(registry.host), task))
    expect(wrong).toMatchObject({ code: 'REGISTRY_ACCESS_DENIED', hasCredentials: true })
  })
})

describe('a registry that asks for tokens', () => {
  const service = 'registry.test'
  const issuer = 'issuer.test'
  let registry: DockerRegistry
  let tokens: TokenServer
  let lifeSeconds = 300
  beforeAll(async () => {
    const signer = await authority.issue('signer', { names: [] })
    tokens = await startTokenServer({ tls: own })
    tokens.answer = (question, response) => {
      const [username, given] = Buffer.from(question.authorization?.slice('Basic '.length) ?? '', 'base64').toString().split(/:(.*)/su)
      const isUser = username === 'user' && given === password
      const scopes = question.scopes.map((scope) => (isUser ? scope : scope.replace(/push,?|,push/gu, '')))
      if (question.authorization !== undefined && !isUser) reply(response, { status: 401 })
      else reply(response, { status: 200, body: JSON.stringify({ token: createAccessToken(signer, { issuer, service, scopes, lifeSeconds }), expires_in: lifeSeconds }) })
    }
    registry = await startDockerRegistry({ directory: join(directory, 'token'), tls: own, auth: { kind: 'token', realm: tokens.realm, service, issuer, authorityPath: authority.path } })
  })
  afterAll(async () => {
    await registry[Symbol.asyncDispose]()
    await tokens[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    lifeSeconds = 300
    tokens.log.length = 0
    await configure(secure(registry.host) + secure(tokens.host))
    for (const host of [registry.host, tokens.host]) await trust(join(home, '.config/containers/certs.d'), host, { 'ca.crt': authority.certificate })
  })

  it('gets one for a push and one for a pull', async () => {
    await saveCredentials(env, { registry: registry.host, username: 'user', password: new Secret(password) }, task)
    const image = createImage({ layerBytes: [2_000_000, 100] })
    const client = await openRegistryClient(env, { userAgent })
    await push(client, image, reference(registry.host))
    expect(await pullsBack(client, image, reference(registry.host))).toBe(true)
    expect(tokens.log.map(({ scopes }) => scopes)).toEqual([['repository:team/app:pull,push'], ['repository:team/app:pull']])
  })

  it('lets anybody pull and nobody push without a login', async () => {
    await saveCredentials(env, { registry: registry.host, username: 'user', password: new Secret(password) }, task)
    const image = createImage()
    await push(await openRegistryClient(env, { userAgent }), image, reference(registry.host, 'open:1'))
    const anonymous = await openRegistryClient({ ...env, REGISTRY_AUTH_FILE: join(home, 'none.json') }, { userAgent })
    expect(await pullsBack(anonymous, image, reference(registry.host, 'open:1'))).toBe(true)
    expect(await failureOf(push(anonymous, createImage(), reference(registry.host, 'open:2')))).toMatchObject({ code: 'REGISTRY_ACCESS_DENIED', hasCredentials: false })
  })

  it('gets new ones when they run out in the middle of a push', async () => {
    await saveCredentials(env, { registry: registry.host, username: 'user', password: new Secret(password) }, task)
    // docker-registry allows a token a minute more than it says, so this one lives for three or four seconds: long enough to be used on a busy machine.
    lifeSeconds = -56
    const image = createImage({ layerBytes: [2_000_000, 3_000_000, 4_000_000] })
    const slow = { ...sourceOf(image.blobs), async *read(blob: Descriptor) {
      await new Promise((resolve) => setTimeout(resolve, 1500))
      yield* sourceOf(image.blobs).read(blob, task)
    } }
    const client = await openRegistryClient(env, { userAgent })
    await pushImage(client, { reference: reference(registry.host, 'long:1'), manifest: image.manifest, source: slow, maxConcurrentUploads: 1 }, task)
    expect(await pullsBack(client, image, reference(registry.host, 'long:1'))).toBe(true)
    expect(tokens.log.length).toBeGreaterThan(2)
  })
})
