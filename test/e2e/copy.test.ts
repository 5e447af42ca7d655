import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'
import type { DockerRegistry } from '../support/docker-registry.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'

const command = useCommand('copy')
const { folder, must, run } = command
let registry: DockerRegistry
let other: DockerRegistry
let app: string

beforeAll(async () => {
  registry = await startDockerRegistry({ directory: join(folder, 'registry') })
  other = await startDockerRegistry({ directory: join(folder, 'other') })
  importBusybox(command)
  app = `${registry.host}/team/app:1`
  must('build', '-q', '-t', app, command.context('app', { Dockerfile: 'FROM busybox\nRUN seq 30000 > /numbers\n' }))
  must('push', app)
})
afterAll(async () => {
  await registry[Symbol.asyncDispose]()
  await other[Symbol.asyncDispose]()
})

const skopeo = (...args: string[]): string => execFileSync('skopeo', args, { encoding: 'utf8' })
const raw = (name: string): string => skopeo('inspect', '--tls-verify=false', '--raw', name)

describe('copy', () => {
  it('leaves every digest as it is from place to place, and skopeo reads each', () => {
    const layout = join(folder, 'layout')
    const archive = join(folder, 'archive.tar')
    const places = [`docker://${app}`, `docker://${other.host}/copied/app:1`, `oci:${layout}:one`, `oci-archive:${archive}:one`, `docker://${registry.host}/copied/app:2`, 'tsbuild:copied:1', `oci:${layout}:two`]
    const digests = places.slice(1).map((to, index) => must('copy', '-q', places[index] ?? '', to))
    expect(new Set(digests).size).toBe(1)
    const manifest = raw(`docker://${app}`)
    for (const place of places.filter((each) => !each.startsWith('tsbuild:'))) expect(raw(place)).toBe(manifest)
    const names = (JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as { manifests: { annotations: Record<string, string> }[] }).manifests.map(({ annotations }) => annotations['org.opencontainers.image.ref.name'])
    expect(names).toEqual(['one', 'two'])
    expect(must('run', 'copied:1', 'tail', '-n1', '/numbers')).toBe('30000')
  })

  it('mounts blobs within a registry, and sends nothing twice', () => {
    const to = `docker://${registry.host}/mounted/app:1`
    expect(run('copy', `docker://${app}`, to).stderr).toMatch(/mounted from another repository/u)
    expect(run('copy', `docker://${app}`, to).stderr).not.toMatch(/push done|mounted/u)
  })

  it('takes an index with everything in it, or the image of one platform', () => {
    const layout = join(folder, 'multi')
    must('copy', '-q', `docker://${app}`, `oci:${layout}:amd`)
    const [entry] = (JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as { manifests: { digest: string; size: number; mediaType: string }[] }).manifests
    const arm = join(folder, 'arm.json')
    const config = JSON.parse(must('inspect', '--remote', app)) as { Manifest: { config: { digest: string } } }[]
    const bytes = readFileSync(join(layout, 'blobs/sha256', config[0]?.Manifest.config.digest.slice(7) ?? ''), 'utf8').replace('"amd64"', '"arm64"')
    writeFileSync(arm, bytes)
    const index = multiPlatform(layout, entry?.digest ?? '', bytes)
    const pushed = must('copy', '-q', '--all', `oci:${layout}:multi`, `docker://${other.host}/multi:1`)
    expect(raw(`docker://${other.host}/multi:1`)).toBe(index)
    expect(must('copy', '-q', '--all', `docker://${other.host}/multi:1`, `oci-archive:${join(folder, 'multi.tar')}:1`)).toBe(pushed)
    expect(must('copy', '-q', '--platform', 'linux/amd64', `docker://${other.host}/multi:1`, `oci:${join(folder, 'single')}`)).toBe(entry?.digest)
    expect(run('copy', '--platform', 'linux/s390x', `docker://${other.host}/multi:1`, `oci:${join(folder, 'none')}`)).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('linux/s390x') as string })
    expect(run('copy', '--platform', 'linux/s390x', `oci:${join(folder, 'single')}`, `oci:${join(folder, 'none')}`)).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('it is for linux/amd64, not linux/s390x') as string })
    must('copy', '-q', `oci:${join(folder, 'single')}`, `docker-archive:${join(folder, 'single.tar')}:single:1`)
    expect(run('load', '--platform', 'linux/s390x', '-i', join(folder, 'single.tar'))).toMatchObject({ exitCode: 3, stdout: '', stderr: expect.stringContaining('it is for linux/amd64, not linux/s390x') as string })
    expect(must('load', '--platform', 'linux/amd64', '-i', join(folder, 'single.tar'))).toContain('single:1')
    expect(run('copy', '--all', `docker://${other.host}/multi:1`, 'tsbuild:multi:1')).toMatchObject({ exitCode: 1 })
    expect(JSON.parse(must('inspect', '--remote', `${other.host}/multi:1`))).toMatchObject([{ Digest: pushed, Platforms: [{ Platform: 'linux/amd64' }, { Platform: 'linux/arm64' }], ManifestDigest: entry?.digest }])
    expect(must('inspect', '--remote', '--raw', `${other.host}/multi:1`)).toBe(index)
  })

  it('reads and writes what docker save does', () => {
    const archive = join(folder, 'docker.tar')
    must('copy', '-q', `docker://${app}`, `docker-archive:${archive}:app:1`)
    expect(JSON.parse(skopeo('inspect', `docker-archive:${archive}`))).toMatchObject({ Architecture: 'amd64' })
    must('copy', '-q', `docker-archive:${archive}:app:1`, 'tsbuild:from-docker:1')
    expect(must('run', 'from-docker:1', 'tail', '-n1', '/numbers')).toBe('30000')
    expect(run('copy', `docker-archive:${archive}:other:1`, 'tsbuild:x')).toMatchObject({ exitCode: 3 })
  })

  it('writes and reads the folders of skopeo\'s dir:, whole indexes too', () => {
    const mine = join(folder, 'dir:mine')
    const theirs = join(folder, 'dir-theirs')
    const digest = must('copy', '-q', `docker://${app}`, `dir:${mine}`)
    expect(raw(`dir:${mine}`)).toBe(raw(`docker://${app}`))
    skopeo('copy', '-q', '--src-tls-verify=false', `docker://${app}`, `dir:${theirs}`)
    expect(readdirSync(mine).sort()).toEqual(readdirSync(theirs).sort())
    for (const name of readdirSync(theirs)) expect(readFileSync(join(mine, name)).equals(readFileSync(join(theirs, name))), name).toBe(true)
    expect(must('copy', '-q', `dir:${theirs}`, 'tsbuild:from-dir:1')).toBe(digest)
    expect(must('run', 'from-dir:1', 'tail', '-n1', '/numbers')).toBe('30000')

    const index = must('copy', '-q', '--all', `docker://${other.host}/multi:1`, `dir:${mine}`)
    expect(must('copy', '-q', '--all', `dir:${mine}`, `docker://${other.host}/multi:2`)).toBe(index)
    skopeo('copy', '-q', '--all', '--dest-tls-verify=false', `dir:${mine}`, `docker://${other.host}/multi:3`)
    expect(raw(`docker://${other.host}/multi:3`)).toBe(raw(`docker://${other.host}/multi:1`))
  })

  it('leaves a folder alone that is none of dir:, and one of dir: when copying fails', () => {
    const precious = join(folder, 'precious')
    mkdirSync(precious)
    writeFileSync(join(precious, 'version'), '1')
    expect(run('copy', `docker://${app}`, `dir:${precious}`)).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('something else') as string })
    expect(run('copy', `dir:${precious}`, 'tsbuild:x').exitCode).toBe(1)
    const damaged = join(folder, 'dir-damaged')
    must('copy', '-q', `docker://${app}`, `dir:${damaged}`)
    const [blob = ''] = readdirSync(damaged).filter((name) => /^[0-9a-f]{64}$/u.test(name))
    writeFileSync(join(damaged, blob), 'damaged')
    const kept = join(folder, 'dir-kept')
    must('copy', '-q', `docker://${app}`, `dir:${kept}`)
    expect(run('copy', `dir:${damaged}`, `dir:${kept}`).exitCode).toBe(4)
    expect(raw(`dir:${kept}`)).toBe(raw(`docker://${app}`))
    expect(readdirSync(folder).filter((name) => name.startsWith('dir-kept'))).toEqual(['dir-kept'])
  })

  it.each([
    ['a bare name', 'app:1', /docker:\/\/NAME/u],
    ['docker-daemon', 'docker-daemon:app:1', /docker save/u],
    ['containers-storage', 'containers-storage:app', /podman save/u],
    ['dir without a path', 'dir:', /no path/u],
    ['ostree', 'ostree:app@/x', /OSTree/u],
    ['docker without slashes', 'docker:app', /docker:\/\/NAME/u],
    ['no path', 'oci:', /no path/u],
  ])('refuses %s with the way to write it', (_, location, pattern) => {
    expect(run('copy', location, 'tsbuild:x')).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(pattern) as string })
  })

  it('leaves no archive behind when it fails, and refuses a damaged layout', () => {
    const layout = join(folder, 'damaged')
    must('copy', '-q', `docker://${app}`, `oci:${layout}`)
    for (const blob of readdirSync(join(layout, 'blobs/sha256'))) {
      const path = join(layout, 'blobs/sha256', blob)
      const bytes = readFileSync(path)
      if (bytes.byteLength > 100_000) writeFileSync(path, Buffer.concat([bytes.subarray(0, -1), Buffer.from([bytes.readUInt8(bytes.byteLength - 1) ^ 1])]))
    }
    const broken = join(folder, 'broken.tar')
    expect(run('copy', `oci:${layout}`, `oci-archive:${broken}`).exitCode).toBe(4)
    expect(run('copy', `oci:${layout}`, `docker://${other.host}/damaged:1`).exitCode).toBe(4)
    expect(readdirSync(folder).filter((name) => name.includes('broken'))).toEqual([])
    expect(run('tags', `${other.host}/damaged`).stdout).not.toContain('1')
  })
})

describe('sync', () => {
  it('copies each line of a list, and the others when one fails', () => {
    const list = join(folder, 'list')
    writeFileSync(list, `# images\ndocker://${app} docker://${other.host}/synced/app:1\n\ndocker://${registry.host}/team/none:1 oci:${folder}/none\ndocker://${app} oci:${folder}/synced:app\n`)
    const outcome = run('sync', list)
    expect(outcome).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('1 of 3 images failed') as string })
    expect(outcome.stdout.trim().split('\n')).toHaveLength(2)
    expect(raw(`oci:${folder}/synced:app`)).toBe(raw(`docker://${other.host}/synced/app:1`))
    const many = Array.from({ length: 8 }, (_, index) => `docker://${app} oci:${folder}/together:t${index}`)
    writeFileSync(list, many.join('\n'))
    expect(must('sync', '--max-images', '8', list).split('\n')).toHaveLength(8)
    for (const index of many.keys()) expect(raw(`oci:${folder}/together:t${index}`)).toBe(raw(`docker://${app}`))
    const piped = spawnSync(process.execPath, [join(import.meta.dirname, '../../bin/tsbuild.cjs'), 'sync', '-'], { input: 'docker://a b c\n', encoding: 'utf8', env: { ...process.env, TSBUILD_ROOT: command.root } })
    expect(piped).toMatchObject({ status: 2, stderr: expect.stringContaining('line 1') as string })
  })
})

/** Adds to a layout an image for arm64 that shares the layers of another, and an index of both named multi. @returns the index's text */
function multiPlatform(layout: string, amd: string, armConfig: string): string {
  const blobs = join(layout, 'blobs/sha256')
  const write = (text: string): { digest: string; size: number } => {
    const digest = spawnSync('sha256sum', { input: text, encoding: 'utf8' }).stdout.slice(0, 64)
    writeFileSync(join(blobs, digest), text)
    return { digest: `sha256:${digest}`, size: Buffer.byteLength(text) }
  }
  const manifest = JSON.parse(readFileSync(join(blobs, amd.slice(7)), 'utf8')) as { mediaType: string; config: object }
  const arm = write(JSON.stringify({ ...manifest, config: { ...manifest.config, ...write(armConfig) } }))
  const entry = (architecture: string, blob: { digest: string; size: number }): object => ({ mediaType: manifest.mediaType, ...blob, platform: { os: 'linux', architecture } })
  const mediaType = 'application/vnd.oci.image.index.v1+json'
  const text = JSON.stringify({ schemaVersion: 2, mediaType, manifests: [entry('amd64', { digest: amd, size: readFileSync(join(blobs, amd.slice(7))).byteLength }), entry('arm64', arm)] })
  const named = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as { manifests: object[] }
  writeFileSync(join(layout, 'index.json'), JSON.stringify({ ...named, manifests: [...named.manifests, { mediaType, ...write(text), annotations: { 'org.opencontainers.image.ref.name': 'multi' } }] }))
  return text
}
