import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mediaTypes } from '../../oci/descriptor.ts'
import type { Reference, RegistryClient } from '../../registry-client/index.ts'
import { openRegistryClient, parseReference, pushImage } from '../../registry-client/index.ts'
import { testDistribution } from '../contract/distribution.ts'
import { useCommand } from '../support/command.ts'
import type { DockerRegistry } from '../support/docker-registry.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import type { TestImage } from '../support/images.ts'
import { createImage, describeBytes, sourceOf } from '../support/images.ts'
import { recordingTask } from '../support/task.ts'

const { folder, must, run } = useCommand('conformance')
const task = recordingTask()
const image = createImage()
let registry: DockerRegistry
let client: RegistryClient

beforeAll(async () => {
  registry = await startDockerRegistry({ directory: join(folder, 'registry'), allowsDeletion: true })
  client = await openRegistryClient({ HOME: folder, CONTAINERS_REGISTRIES_CONF_DIR: join(folder, 'none') }, { userAgent: 'tsbuild-test' })
})
afterAll(async () => { await registry[Symbol.asyncDispose]() })

const named = (name: string): Reference => parseReference(`${registry.host}/${name}`)

async function push(pushed: TestImage, name: string): Promise<void> {
  await pushImage(client, { reference: named(name), manifest: pushed.manifest, source: sourceOf(pushed.blobs), maxConcurrentUploads: 2 }, task)
}

describe('docker-registry', () => {
  testDistribution({
    start: (directory) => startDockerRegistry({ directory: join(directory, 'registry'), allowsDeletion: true }),
    deletesTags: false,
    checksManifests: true,
    knowsRepositories: true,
    sharesBlobs: false,
    listsArtifactTypes: true,
  })
})

describe('the commands', () => {
  it('list referrers', async () => {
    await push(image, 'discovery/signed:1')
    const empty = Buffer.from('{}')
    const config = { ...describeBytes(empty), mediaType: mediaTypes.ociEmpty }
    await client.pushBlob(named('discovery/signed'), { blob: config, source: sourceOf(new Map([[config.digest, empty]])) }, task)
    const referrers = ['application/sbom', 'application/signature'].map((artifactType) => Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, artifactType, config, layers: [config], subject: image.manifest.descriptor })))
    for (const bytes of referrers) await client.pushManifest({ ...named('discovery/signed'), tag: undefined, digest: describeBytes(bytes).digest }, { bytes, mediaType: mediaTypes.ociManifest }, task)
    const lines = referrers.map((bytes, index) => `${describeBytes(bytes).digest} application/${['sbom', 'signature'][index] ?? ''} ${bytes.byteLength}`)
    const name = `${registry.host}/discovery/signed`
    expect(must('referrers', `${name}:1`).split('\n')).toEqual(lines)
    expect(must('referrers', '--artifact-type', 'application/signature', `${name}@${image.manifest.descriptor.digest}`)).toBe(lines[1])
    expect(JSON.parse(must('referrers', '--json', `${name}:1`))).toMatchObject([{ artifactType: 'application/sbom' }, { artifactType: 'application/signature' }])
    expect(run('referrers', `${name}:none`)).toMatchObject({ exitCode: 3, stderr: expect.stringContaining(registry.host) as string })
  })

  it('delete what is meant, and take no name for another', async () => {
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
