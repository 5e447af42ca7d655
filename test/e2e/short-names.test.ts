import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mediaTypes } from '../../oci/descriptor.ts'
import { openRegistryClient, parseReference, pushImage } from '../../registry-client/index.ts'
import { useCommand } from '../support/command.ts'
import type { DockerRegistry } from '../support/docker-registry.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { createImage, describeBytes, sourceOf } from '../support/images.ts'
import { recordingTask } from '../support/task.ts'

const { folder, must, run } = useCommand('short-names')
const configured = { CONTAINERS_REGISTRIES_CONF: join(folder, 'search.conf') }
const searching = useCommand('short-names-search', { env: configured })
const task = recordingTask()
const image = createImage()
const { digest } = image.manifest.descriptor
const referrer = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, artifactType: 'application/sbom', config: image.config, layers: image.layers, subject: image.manifest.descriptor }))
let lacking: DockerRegistry
let holding: DockerRegistry

/** Both registries named, in the order they are searched. */
const bothNamed = (): string => expect.stringMatching(new RegExp(`${lacking.host}.*${holding.host}`, 'su')) as string

beforeAll(async () => {
  lacking = await startDockerRegistry({ directory: join(folder, 'lacking'), allowsDeletion: true })
  holding = await startDockerRegistry({ directory: join(folder, 'holding'), allowsDeletion: true })
  writeFileSync(configured.CONTAINERS_REGISTRIES_CONF, `unqualified-search-registries = ["${lacking.host}", "${holding.host}"]\n`)
  const client = await openRegistryClient({ HOME: folder, CONTAINERS_REGISTRIES_CONF_DIR: join(folder, 'none') }, { userAgent: 'tsbuild-test' })
  const reference = parseReference(`${holding.host}/team/app:1`)
  await pushImage(client, { reference, manifest: image.manifest, source: sourceOf(image.blobs), maxConcurrentUploads: 2 }, task)
  await client.pushManifest({ ...reference, tag: undefined, digest: describeBytes(referrer).digest }, { bytes: referrer, mediaType: mediaTypes.ociManifest }, task)
})
afterAll(async () => {
  await lacking[Symbol.asyncDispose]()
  await holding[Symbol.asyncDispose]()
})

describe('a short name is looked for in the search registries in turn', () => {
  it('by copy and inspect', () => {
    const layout = join(folder, 'layout')
    expect(searching.must('inspect', '--remote', '-f', '{{.Digest}}', 'team/app:1')).toBe(digest)
    expect(searching.must('inspect', '--remote', '--raw', 'team/app:1')).toBe(image.manifest.bytes.toString())
    expect(searching.must('copy', '-q', 'docker://team/app:1', `oci:${layout}:1`)).toBe(digest)
    expect(searching.run('copy', 'docker://team/none:1', `oci:${layout}:2`)).toMatchObject({ exitCode: 3, stderr: bothNamed() })
  })

  it('by tags', () => {
    expect(searching.must('tags', 'team/app').split('\n')).toContain('1')
    expect(searching.run('tags', 'team/none')).toMatchObject({ exitCode: 3, stdout: '', stderr: bothNamed() })
  })

  it('by referrers, by tag and by digest', () => {
    const line = `${describeBytes(referrer).digest} application/sbom ${referrer.byteLength}`
    expect(searching.must('referrers', 'team/app:1')).toBe(line)
    expect(searching.must('referrers', `team/app@${digest}`)).toBe(line)
    expect(searching.run('referrers', 'team/app:none')).toMatchObject({ exitCode: 3, stderr: bothNamed() })
  })
})

it('a short name is not deleted, and what it may mean is said', () => {
  const wanted = `a name with its registry is wanted, as in ${lacking.host}/team/app:1 or ${holding.host}/team/app:1`
  expect(searching.run('delete', '--manifest', 'team/app:1')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(wanted) as string })
  expect(run('delete', 'team/app:1')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('as in docker.io/team/app:1') as string })
  expect(must('tags', `${holding.host}/team/app`).split('\n')).toContain('1')
})
