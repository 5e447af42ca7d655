import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256 } from '../../oci/digest.ts'
import { useCommand } from '../support/command.ts'
import type { DockerRegistry } from '../support/docker-registry.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'

const plain = useCommand('metadata')
const verbose = useCommand('metadata-verbose', { env: { BUILDX_METADATA_PROVENANCE: 'max', BUILDX_METADATA_WARNINGS: '1' } })
const refused = useCommand('metadata-refused', { env: { BUILDX_METADATA_PROVENANCE: 'most' } })

let registry: DockerRegistry
beforeAll(async () => {
  registry = await startDockerRegistry({ directory: join(plain.folder, 'registry') })
  writeFileSync(join(plain.folder, 'registries.conf'), `[[registry]]\nlocation = "${registry.host}"\ninsecure = true\n`)
})
afterAll(async () => { await registry[Symbol.asyncDispose]() })

const files = { Dockerfile: 'FROM scratch AS Upper\nARG WHO=me\nCOPY f /\n', f: 'f' }

function metadataOf(command: typeof plain, ...args: readonly string[]): Record<string, unknown> {
  const file = join(command.folder, 'metadata.json')
  command.must('build', '--metadata-file', file, ...args, command.context('app', files))
  return JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
}

describe('build --metadata-file', () => {
  it('names the build as its record is found by, and says how the image was made', () => {
    const metadata = metadataOf(plain, '-t', 'app:1', '--build-arg', 'WHO=you')
    const id = plain.must('images', '-q', '--no-trunc', 'app:1')
    expect(metadata).toMatchObject({
      'buildx.build.ref': expect.stringMatching(/^tsbuild\/tsbuild\/[0-9a-f]{12}$/u) as string,
      'buildx.build.provenance': { buildDefinition: { externalParameters: { platform: expect.any(String) as string } }, runDetails: { metadata: { invocationId: String(metadata['buildx.build.ref']).split('/')[2] } } },
      'containerimage.config.digest': id,
      'image.name': 'docker.io/library/app:1',
    })
    expect(JSON.stringify(metadata)).not.toContain('you')
    expect(metadata).not.toHaveProperty('buildx.build.warnings')
    expect(plain.must('history', 'show', String(metadata['buildx.build.ref']))).toContain('of app:1')
  })

  it('gives the whole provenance and the warnings where buildx is asked for them', () => {
    const metadata = metadataOf(verbose, '--build-arg', 'WHO=you')
    expect(metadata).toMatchObject({ 'buildx.build.provenance': { buildDefinition: { externalParameters: { buildArgs: { WHO: 'you' } } } } })
    const [warning] = metadata['buildx.build.warnings'] as readonly { readonly short: string }[]
    expect(warning).toMatchObject({ level: 1, range: [{ start: { line: 1 } }] })
    expect(Buffer.from(warning?.short ?? '', 'base64').toString()).toMatch(/^StageNameCasing: /u)
    expect(refused.run('build', '--metadata-file', join(refused.folder, 'm'), refused.context('app', files))).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('min, max or disabled') as string })
  })

  it('says of several platforms what is true of the index', () => {
    const metadata = metadataOf(plain, '--platform', 'linux/amd64,linux/arm64')
    expect(metadata).toMatchObject({ 'containerimage.descriptor': { mediaType: 'application/vnd.oci.image.index.v1+json', digest: metadata['containerimage.digest'] } })
    expect(Object.keys(metadata).filter((key) => key.includes('provenance'))).toEqual(['buildx.build.provenance/linux/amd64', 'buildx.build.provenance/linux/arm64'])
    expect(metadata).not.toHaveProperty('containerimage.config.digest')
  })

  it('gives the digest that the registry has, whatever else is written, and none of an image nobody has', () => {
    const name = `${registry.host}/app:1`
    const metadata = metadataOf(plain, '-t', name, '-o', join(plain.folder, 'out'), '-o', `type=oci,compression=zstd,dest=${plain.folder}/app.tar`, '--push')
    expect(metadata['containerimage.digest']).toBe(sha256(plain.must('inspect', '--remote', '--raw', name)))
    expect(Object.keys(metadataOf(plain, '-o', join(plain.folder, 'out'))).filter((key) => key.startsWith('containerimage'))).toEqual([])
  })
})
