/** The categories of the distribution specification's conformance suite, seen from the client, for any server of images. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mediaTypes } from '../../oci/descriptor.ts'
import type { Reference, RegistryClient } from '../../registry-client/index.ts'
import { openRegistryClient, parseReference, pullImage, pushImage } from '../../registry-client/index.ts'
import type { TestImage } from '../support/images.ts'
import { collect, createImage, describeBytes, sourceOf } from '../support/images.ts'
import { failureOf, recordingTask } from '../support/task.ts'

/** A server for these tests, and where it goes its own way within the specification. */
export interface DistributionServer {
  /** Host and port. */
  readonly start: (directory: string) => Promise<AsyncDisposable & { readonly host: string }>
  /** Whether tags can be deleted; a manifest can by its digest. */
  readonly deletesTags: boolean
  /** Whether a manifest is refused whose blobs are not there. */
  readonly checksManifests: boolean
  /** Whether a repository that was never pushed to is unknown. */
  readonly knowsRepositories: boolean
  /** Whether a blob is in every repository when it is in one. */
  readonly sharesBlobs: boolean
  /** Whether what refers to a manifest is listed with its `artifactType`. */
  readonly listsArtifactTypes: boolean
}

export function testDistribution(server: DistributionServer): void {
  const task = recordingTask()
  const image = createImage({ layerBytes: [1000, 3_000_000] })
  let directory: string
  let registry: AsyncDisposable & { readonly host: string }
  let client: RegistryClient

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'conformance-'))
    registry = await server.start(directory)
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
      expect(watched.events.map(({ outcome }) => outcome)).toEqual([server.sharesBlobs ? 'present' : 'mounted'])
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

    it('learns of a manifest whose blobs are not there from a registry that looks', async () => {
      const missing = createImage()
      const written = client.pushManifest(named('push/missing:1'), missing.manifest, task)
      if (server.checksManifests) expect(await failureOf(written)).toMatchObject({ code: 'REGISTRY_UNEXPECTED_STATUS' })
      else expect(await written).toEqual(missing.manifest.descriptor)
    })
  })

  describe('content discovery', () => {
    it('lists tags and repositories', async () => {
      for (const tag of ['a', 'b', 'c']) await push(image, `discovery/app:${tag}`)
      expect((await all(client.catalog.tags(named('discovery/app'), task))).sort()).toEqual(['a', 'b', 'c'])
      expect(await all(client.catalog.repositories(registry.host, task))).toContain('discovery/app')
      if (server.knowsRepositories) expect(await failureOf(all(client.catalog.tags(named('discovery/none'), task)))).toMatchObject({ code: 'REGISTRY_MANIFEST_UNKNOWN' })
    })

    it('lists referrers, whoever keeps the list', async () => {
      await push(image, 'discovery/signed:1')
      const empty = Buffer.from('{}')
      const config = { ...describeBytes(empty), mediaType: mediaTypes.ociEmpty }
      await client.pushBlob(named('discovery/signed'), { blob: config, source: sourceOf(new Map([[config.digest, empty]])) }, task)
      const referrers = ['application/sbom', 'application/signature'].map((artifactType) => Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, artifactType, config, layers: [config], subject: image.manifest.descriptor })))
      for (const bytes of referrers) await client.pushManifest({ ...byDigest('discovery/signed', image), digest: describeBytes(bytes).digest }, { bytes, mediaType: mediaTypes.ociManifest }, task)
      const listed = await client.catalog.referrers(byDigest('discovery/signed', image), undefined, task)
      expect(listed.map(({ digest }) => digest).sort()).toEqual(referrers.map((bytes) => describeBytes(bytes).digest).sort())
      if (!server.listsArtifactTypes) return
      expect(listed.map(({ artifactType }) => artifactType).sort()).toEqual(['application/sbom', 'application/signature'])
      expect((await client.catalog.referrers(byDigest('discovery/signed', image), 'application/sbom', task)).map(({ digest }) => digest)).toEqual(referrers.slice(0, 1).map((bytes) => describeBytes(bytes).digest))
    })
  })

  describe('content management', () => {
    it('deletes manifests and blobs, and tags or says that they cannot be deleted', async () => {
      const gone = createImage()
      await push(gone, 'management/app:1')
      if (server.deletesTags) await client.catalog.deleteManifest(named('management/app:1'), task)
      else expect(await failureOf(client.catalog.deleteManifest(named('management/app:1'), task))).toMatchObject({ code: 'REGISTRY_DELETION_REFUSED' })
      await push(gone, 'management/app:2')
      await client.catalog.deleteManifest(byDigest('management/app', gone), task)
      expect(await client.resolve(byDigest('management/app', gone), task)).toBeUndefined()
      expect(await failureOf(client.catalog.deleteManifest(byDigest('management/app', gone), task))).toMatchObject({ code: 'REGISTRY_MANIFEST_UNKNOWN' })
      await client.catalog.deleteBlob(named('management/app'), gone.config.digest, task)
      expect(await failureOf(collect(client.fetchBlob(named('management/app'), gone.config, task)))).toMatchObject({ code: 'REGISTRY_BLOB_UNKNOWN' })
    })
  })
}

async function all(items: AsyncIterable<string>): Promise<string[]> {
  const list: string[] = []
  for await (const item of items) list.push(item)
  return list
}
