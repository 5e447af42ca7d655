import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'
import type { DockerRegistry } from '../support/docker-registry.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { usePeerTools } from '../support/peer-tools.ts'

const peers = usePeerTools('skopeo')
const conf = join(peers.folder, 'registries.conf')
const command = useCommand('platforms', { env: { CONTAINERS_REGISTRIES_CONF: conf } })
const { run, must, folder } = command
let registry: DockerRegistry
let app = ''

const both = 'linux/amd64,linux/arm64'
const dockerfile = `FROM --platform=$BUILDPLATFORM busybox AS shared
RUN echo shared >/shared
FROM --platform=$BUILDPLATFORM busybox AS made
ARG TARGETARCH
RUN echo "for $TARGETARCH" >/out
FROM scratch
ARG TARGETPLATFORM BUILDPLATFORM TARGETVARIANT
COPY --from=shared /shared /
COPY --from=made /out /
ENV TARGET=$TARGETPLATFORM VARIANT=$TARGETVARIANT
`

interface Index { readonly mediaType: string; readonly manifests: readonly { readonly digest: string; readonly platform: { readonly architecture: string; readonly variant?: string } }[] }

beforeAll(async () => {
  registry = await startDockerRegistry({ directory: join(folder, 'registry') })
  writeFileSync(conf, `[[registry]]\nlocation = "${registry.host}"\ninsecure = true\n`)
  importBusybox(command)
  app = command.context('app', { Dockerfile: dockerfile })
})
afterAll(async () => { await registry[Symbol.asyncDispose]() })

const inspect = (what: string, name: string): unknown => JSON.parse(peers.run('skopeo', 'inspect', what, '--tls-verify=false', `docker://${registry.host}/${name}`))
const architectures = ({ manifests }: Index): string[] => manifests.map(({ platform }) => `${platform.architecture}${platform.variant ?? ''}`)

describe('a build for several platforms', () => {
  it('is one index in the store, which FROM and rmi take like an image', () => {
    const { stderr, exitCode } = run('build', '-t', 'many:1', '--network', 'none', '--platform', 'linux/arm64,linux/arm/v7', '--platform', 'linux/aarch64', '--progress', 'plain', app)
    expect(exitCode, stderr).toBe(0)
    expect(stderr.match(/\[shared 2\/2\] RUN echo shared/gu)).toHaveLength(1)
    expect(stderr.match(/\[linux\/arm64 made 2\/2\] RUN/gu)).toHaveLength(1)
    expect(stderr.match(/\[linux\/arm\/v7 made 2\/2\] RUN/gu)).toHaveLength(1)
    const [shown] = JSON.parse(must('inspect', 'many:1')) as [{ Id: string; Descriptor: { digest: string; mediaType: string }; Platforms: { Platform: string }[] }]
    expect(shown.Platforms.map(({ Platform }) => Platform)).toEqual(['linux/arm64', 'linux/arm/v7'])
    expect(shown.Descriptor).toMatchObject({ digest: shown.Id, mediaType: 'application/vnd.oci.image.index.v1+json' })
    for (const [platform, expected] of [['linux/arm64', 'for arm64\n'], ['linux/arm/v7', 'for arm\n']] as const) {
      const out = join(folder, `from-${expected.trim()}`)
      must('build', '-q', '--platform', platform, '-o', `type=local,dest=${out}`, command.context('from', { Dockerfile: 'FROM many:1\nENV x=$TARGET\n' }))
      expect(readFileSync(join(out, 'out'), 'utf8')).toBe(expected)
    }
    expect(must('gc')).toContain('0')
    expect(must('fsck')).toContain('clean')
    must('rmi', 'many:1')
    expect(must('images', '--json')).not.toContain('many')
  })

  it('is one index in a layout and in a registry, with the same images', () => {
    const layout = join(folder, 'layout')
    must('build', '-q', '--network', 'none', '--platform', both, '-o', `type=oci,tar=false,dest=${layout}`, '-o', `type=registry,name=${registry.host}/many:1`, '-t', 'pushed:1', app)
    const [entry] = (JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as Index).manifests
    const index = JSON.parse(readFileSync(join(layout, 'blobs', entry?.digest.replace(':', '/') ?? ''), 'utf8')) as Index
    expect(architectures(index)).toEqual(['amd64', 'arm64'])
    expect(inspect('--raw', 'many:1')).toEqual(index)
    must('build', '-q', '--network', 'none', '--platform', both, '-t', `${registry.host}/again:1`, app)
    must('push', `${registry.host}/again:1`)
    expect(inspect('--raw', 'again:1')).toEqual(index)
    must('rmi', `${registry.host}/again:1`)
    const metadata = join(folder, 'by-digest.json')
    must('build', '-q', '--network', 'none', '--platform', both, '-o', `type=image,name=${registry.host}/nameless,push-by-digest=true,name-canonical=true,push=true`, '--metadata-file', metadata, app)
    const pushed = JSON.parse(readFileSync(metadata, 'utf8')) as Readonly<Record<string, string>>
    expect(pushed['image.name']).toBe(`${registry.host}/nameless`)
    expect(inspect('--raw', `nameless@${pushed['containerimage.digest'] ?? ''}`)).toEqual(index)
    expect(run('tags', `${registry.host}/nameless`).stdout).toBe('')
    expect(inspect('--config', `many@${index.manifests[1]?.digest ?? ''}`)).toMatchObject({ architecture: 'arm64', config: { Env: expect.arrayContaining(['TARGET=linux/arm64', 'VARIANT=']) as string[] } })
  })

  it('is a folder for each in a local output, and refused where only one image fits', () => {
    const out = join(folder, 'out')
    must('build', '-q', '--network', 'none', '--platform', `${both},linux/arm/v6`, '-o', `type=local,dest=${out}`, app)
    expect(readdirSync(out).sort()).toEqual(['linux_amd64', 'linux_arm64', 'linux_arm_v6'])
    expect(readFileSync(join(out, 'linux_arm_v6', 'out'), 'utf8')).toBe('for arm\n')
    for (const type of ['tar', 'docker']) {
      const refused = run('build', '--platform', both, '-o', `type=${type},dest=${join(folder, 'refused')}`, app)
      expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('take type=oci') as string })
    }
    expect(existsSync(join(folder, 'refused'))).toBe(false)
    expect(run('build', '--platform', 'linux/a/b/c', app).stderr).toContain('os/arch')
  })
})

describe('run --platform', () => {
  const files = { Dockerfile: 'FROM --platform=$BUILDPLATFORM busybox AS tools\nFROM scratch\nARG TARGETARCH\nCOPY --from=tools / /\nENV FOR=$TARGETARCH\n' }
  const madeFor = (...args: readonly string[]): string => must('run', '--network', 'none', ...args, 'sh', '-c', 'echo $FOR')

  it('takes that image of an index, also for a detached container', () => {
    must('build', '-q', '--platform', both, '-t', 'either:1', command.context('either', files))
    expect([madeFor('either:1'), madeFor('--platform', 'linux/arm64', 'either:1')]).toEqual(['amd64', 'arm64'])
    const id = must('run', '-d', '--network', 'none', '--platform', 'linux/arm64', 'either:1', 'sh', '-c', 'echo $FOR')
    expect(must('logs', '-f', id)).toBe('arm64')
    must('stop', id)
    must('rm', id)
  })

  it('pulls what is here for another platform, and never runs that', () => {
    const name = `${registry.host}/either:1`
    must('build', '-q', '--platform', both, '-t', name, '-o', 'type=registry', command.context('either', files))
    must('pull', name)
    expect(madeFor('--platform', 'linux/arm64', name)).toBe('arm64')
    const id = must('images', '-q', name)
    expect(run('run', '--network', 'none', '--platform', 'linux/amd64', id, 'true')).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('linux/arm64') as string })
    expect(madeFor(name)).toBe('arm64')
    must('tag', name, `${registry.host}/only-here:1`)
    expect(run('run', '--platform', 'linux/amd64', `${registry.host}/only-here:1`, 'true')).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('found locally is for linux/arm64') as string })
  })
})

describe('RUN for another architecture', () => {
  // A program of a machine that does not exist, so that no other entry of the kernel means it.
  const header = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0xef, 0xbe])
  const magic = [...header].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')

  it('is executed by what binfmt_misc has registered, and otherwise says how to register it', () => {
    const context = command.context('foreign', { Dockerfile: 'FROM scratch\nCOPY sh /bin/sh\nRUN echo by-interpreter >/out\n' })
    writeFileSync(join(context, 'sh'), Buffer.concat([header, Buffer.alloc(100)]))
    chmodSync(join(context, 'sh'), 0o755)
    const out = join(folder, 'foreign-out')
    mkdirSync(out)
    const refused = run('build', '--network', 'none', '--platform', 'linux/arm64', context)
    expect(refused.exitCode).not.toBe(0)
    expect(refused.stderr).toContain('binfmt_misc')
    const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path)) ?? ''
    // Entries go with the last mount of the filesystem, which this process's namespace has to itself.
    const script = 'mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && printf %s "$1" >/proc/sys/fs/binfmt_misc/register && shift && exec "$@"'
    const built = spawnSync('unshare', ['-m', 'sh', '-c', script, 'sh', `:tsbuild-${process.pid}:M::${magic}::${busybox}:F`, process.execPath, join(import.meta.dirname, '../../bin/tsbuild.cjs'), 'build', '--network', 'none', '--platform', 'linux/arm64', '-o', `type=local,dest=${out}`, context], { encoding: 'utf8', env: { ...process.env, TSBUILD_ROOT: command.root, CONTAINERS_REGISTRIES_CONF: conf } })
    expect(built.status, built.stderr).toBe(0)
    expect(readFileSync(join(out, 'out'), 'utf8')).toBe('by-interpreter\n')
  })
})
