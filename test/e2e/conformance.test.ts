/** The categories of the distribution specification's conformance suite, seen from the client, against Debian's docker-registry. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mediaTypes } from '../../oci/descriptor.ts'
import type { Reference, RegistryClient } from '../../registry-client/index.ts'
import { openRegistryClient, parseReference, pullImage, pushImage } from '../../registry-client/index.ts'
import { useCommand } from '../support/command.ts'
import type { DockerRegistry } from '../support/docker-registry.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import type { TestImage } from '../support/images.ts'
import { collect, createImage, describeBytes, sourceOf } from '../support/images.ts'
import { failureOf, recordingTask } from '../support/task.ts'

const { must, run } = useCommand('conformance')
const task = recordingTask()
const image = createImage({ layerBytes: [1000, 3_000_000] })
let directory: string
let registry: DockerRegistry
let client: RegistryClient

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'conformance-'))
  registry = await startDockerRegistry({ directory, allowsDeletion: true })
  client = await openRegistryClient({ HOME: directory, CONTAINERS_REGISTRIES_CONF_DIR: join(directory, 'none') }, { userAgent: 'tsbuild-test' })
  await push(image, 'base/app:1')
})
afterAll(async () => {
  await registry[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
})

const named = (name: string): Reference => parseReference(`${registry.host}/${name}`)
const byDigest = (name: string, { manifest }: TestImage): Reference & { digest: typeof manifest.descriptor.digest } => ({ ...named(name), tag: undefined, digest: manifest.descriptor.digest })

async function push(pushed: TestImage, name: string): Promise<void> {
  await pushImage(client, { reference: named(name), manifest: pushed.manifest, source: sourceOf(pushed.blobs), maxConcurrentUploads: 2 }, task)
}

async function all(items: AsyncIterable<string>): Promise<string[]> {
  const list: string[] = []
  for await (const item of items) list.push(item)
  return list
}

describe('pull', () => {
  it('gets manifests by tag and by digest, with and without their bodies', async () => {
    for (const reference of [named('base/app:1'), byDigest('base/app', image)]) {
      expect(await client.resolve(reference, task)).toEqual(image.manifest.descriptor)
      expect(Buffer.from((await client.fetchManifest(reference, task)).bytes).equals(image.manifest.bytes)).toBe(true)
    }
  })

  it('gets blobs, whole and from a byte on', async () => {
    for (const layer of image.layers) {
      const bytes = image.blobs.get(layer.digest) ?? Buffer.alloc(0)
      expect((await collect(client.fetchBlob(named('base/app:1'), layer, task))).equals(bytes)).toBe(true)
      expect((await collect(client.continueBlob(named('base/app:1'), { blob: layer, fromByte: 900 }, task))).equals(bytes.subarray(900))).toBe(true)
      expect(await collect(client.continueBlob(named('base/app:1'), { blob: layer, fromByte: layer.size }, task))).toHaveLength(0)
    }
  })

  it('says what is not there', async () => {
    expect(await client.resolve(named('base/app:none'), task)).toBeUndefined()
    expect(await failureOf(client.fetchManifest(named('base/none:1'), task))).toMatchObject({ code: 'REGISTRY_MANIFEST_UNKNOWN' })
    expect(await failureOf(collect(client.fetchBlob(named('base/app:1'), describeBytes(Buffer.from('none')), task)))).toMatchObject({ code: 'REGISTRY_BLOB_UNKNOWN' })
  })
})

describe('push', () => {
  it('takes a blob in one request, in pieces, and by mounting it', async () => {
    const bytes = createImage({ layerBytes: [5_000_000] })
    const [layer = bytes.config] = bytes.layers
    await push(bytes, 'push/streamed:1')
    const chunked = await openRegistryClient({ HOME: directory }, { userAgent: 'tsbuild-test', uploadChunkBytes: 1_000_000 })
    await chunked.pushBlob(named('push/chunked'), { blob: layer, source: sourceOf(bytes.blobs) }, task)
    const watched = recordingTask()
    await client.pushBlob(named('push/mounted'), { blob: layer, source: { ...sourceOf(new Map()), origins: () => [named('push/chunked')] } }, watched)
    expect(watched.events.map(({ outcome }) => outcome)).toEqual(['mounted'])
    for (const name of ['push/streamed', 'push/chunked', 'push/mounted']) expect((await collect(client.fetchBlob(named(name), layer, task))).equals(bytes.blobs.get(layer.digest) ?? Buffer.alloc(0))).toBe(true)
  })

  it('takes manifests by tag and by digest, and moves a tag', async () => {
    const other = createImage()
    await push(image, 'push/moved:1')
    await push(other, 'push/moved:1')
    expect((await client.fetchManifest(named('push/moved:1'), task)).descriptor.digest).toBe(other.manifest.descriptor.digest)
    expect((await client.fetchManifest(byDigest('push/moved', image), task)).descriptor.digest).toBe(image.manifest.descriptor.digest)
  })

  it('takes an artifact without layers, and an empty config', async () => {
    const empty = Buffer.from('{}')
    const config = { ...describeBytes(empty), mediaType: mediaTypes.ociEmpty }
    const manifest = { bytes: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, artifactType: 'application/example', config, layers: [config] })), mediaType: mediaTypes.ociManifest }
    await pushImage(client, { reference: named('push/artifact:1'), manifest, source: sourceOf(new Map([[config.digest, empty]])), maxConcurrentUploads: 1 }, task)
    expect(await failureOf(pullImage(client, { reference: named('push/artifact:1'), platform: { os: 'linux', architecture: 'amd64' } }, task))).toMatchObject({ code: 'OCI_UNSUPPORTED_MEDIA_TYPE' })
  })

  it('writes no manifest whose blobs are not there', async () => {
    const missing = createImage()
    expect(await failureOf(client.pushManifest(named('push/missing:1'), missing.manifest, task))).toMatchObject({ code: 'REGISTRY_UNEXPECTED_STATUS', status: 400 })
  })
})

describe('content discovery', () => {
  it('lists tags and repositories', async () => {
    for (const tag of ['a', 'b', 'c']) await push(image, `discovery/app:${tag}`)
    expect((await all(client.catalog.tags(named('discovery/app'), task))).sort()).toEqual(['a', 'b', 'c'])
    expect(await all(client.catalog.repositories(registry.host, task))).toContain('discovery/app')
    expect(await failureOf(all(client.catalog.tags(named('discovery/none'), task)))).toMatchObject({ code: 'REGISTRY_MANIFEST_UNKNOWN' })
  })

  it('lists referrers, which this registry leaves to the tag', async () => {
    await push(image, 'discovery/signed:1')
    const empty = Buffer.from('{}')
    const config = { ...describeBytes(empty), mediaType: mediaTypes.ociEmpty }
    await client.pushBlob(named('discovery/signed'), { blob: config, source: sourceOf(new Map([[config.digest, empty]])) }, task)
    const referrers = ['application/sbom', 'application/signature'].map((artifactType) => Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, artifactType, config, layers: [config], subject: image.manifest.descriptor })))
    for (const bytes of referrers) await client.pushManifest({ ...byDigest('discovery/signed', image), digest: describeBytes(bytes).digest }, { bytes, mediaType: mediaTypes.ociManifest }, task)
    expect((await client.catalog.referrers(byDigest('discovery/signed', image), undefined, task)).map(({ artifactType }) => artifactType)).toEqual(['application/sbom', 'application/signature'])
    expect((await client.catalog.referrers(byDigest('discovery/signed', image), 'application/sbom', task)).map(({ digest }) => digest)).toEqual(referrers.slice(0, 1).map((bytes) => describeBytes(bytes).digest))
    const lines = referrers.map((bytes, index) => `${describeBytes(bytes).digest} application/${['sbom', 'signature'][index] ?? ''} ${bytes.byteLength}`)
    const name = `${registry.host}/discovery/signed`
    expect(must('referrers', `${name}:1`).split('\n')).toEqual(lines)
    expect(must('referrers', '--artifact-type', 'application/signature', `${name}@${image.manifest.descriptor.digest}`)).toBe(lines[1])
    expect(JSON.parse(must('referrers', '--json', `${name}:1`))).toMatchObject([{ artifactType: 'application/sbom' }, { artifactType: 'application/signature' }])
    expect(run('referrers', `${name}:none`)).toMatchObject({ exitCode: 3, stderr: expect.stringContaining(registry.host) as string })
  })
})

describe('content management', () => {
  it('deletes manifests and blobs, and says where tags cannot be deleted', async () => {
    const gone = createImage()
    await push(gone, 'management/app:1')
    expect(await failureOf(client.catalog.deleteManifest(named('management/app:1'), task))).toMatchObject({ code: 'REGISTRY_DELETION_REFUSED' })
    await client.catalog.deleteManifest(byDigest('management/app', gone), task)
    expect(await client.resolve(named('management/app:1'), task)).toBeUndefined()
    expect(await failureOf(client.catalog.deleteManifest(byDigest('management/app', gone), task))).toMatchObject({ code: 'REGISTRY_MANIFEST_UNKNOWN' })
    await client.catalog.deleteBlob(named('management/app'), gone.config.digest, task)
    expect(await failureOf(collect(client.fetchBlob(named('management/app'), gone.config, task)))).toMatchObject({ code: 'REGISTRY_BLOB_UNKNOWN' })
  })

  it('is a command that takes no name for another', async () => {
    const name = `${registry.host}/management/command`
    await push(createImage(), 'management/command:1')
    expect(run('delete', name)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('tag or digest') as string })
    expect(run('delete', 'command:1')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('docker.io/library/command:1') as string })
    expect(run('delete', `${name}:1`)).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('by digest alone') as string })
    expect(must('delete', '--manifest', `${name}:1`)).toMatch(/^deleted .*@sha256:/u)
    expect(run('delete', '--manifest', `${name}:1`)).toMatchObject({ exitCode: 3 })
    expect(must('tags', name)).toBe('')
  })
})
