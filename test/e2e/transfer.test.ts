import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startBufferingProxy } from '../support/buffering-proxy.ts'
import { importBusybox, succeed, useCommand } from '../support/command.ts'
import { startCuttingProxy } from '../support/cutting-proxy.ts'
import type { DockerRegistry } from '../support/docker-registry.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'

const command = useCommand('transfer')
const other = useCommand('transfer-other')
const { folder, must, start } = command
let registry: DockerRegistry
const megabyte = 1_000_000

beforeAll(async () => {
  registry = await startDockerRegistry({ directory: join(folder, 'registry') })
  importBusybox(command)
})
afterAll(async () => { await registry[Symbol.asyncDispose]() })

/** An image with a layer of so many megabytes that do not compress, under a name in the registry. */
function buildBig(name: string, megabytes: number): string {
  const tag = `${registry.host}/${name}`
  must('build', '-q', '-t', tag, command.context(name.replaceAll('/', '-'), { Dockerfile: `FROM busybox\nRUN head -c ${megabytes * megabyte} /dev/urandom > /big && echo ${name}\n` }))
  return tag
}

/** Starts a command and kills it when it is time. */
async function killAfter(isTime: () => boolean, args: readonly string[], by = start): Promise<void> {
  const child = by(...args)
  const errors: Buffer[] = []
  child.stderr?.on('data', (chunk: Buffer) => errors.push(chunk))
  while (!isTime() && child.exitCode === null) await sleep(2)
  child.kill('SIGKILL')
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  expect(child.signalCode, Buffer.concat(errors).toString()).toBe('SIGKILL')
}

describe('a transfer that is killed', () => {
  it('goes on with the next push where whole pieces had arrived', async () => {
    const tag = buildBig('killed/push:1', 60)
    // Without a proxy that waits for whole requests this registry drops an upload whose request broke.
    await using proxy = await startBufferingProxy(registry.host)
    const through = tag.replace(registry.host, proxy.host)
    // Only a layer whose digest is known can be gone on with: one that is compressed meanwhile begins again.
    const compressed = tag.replace('push', 'compressed')
    for (const name of [compressed, through]) must('tag', tag, name)
    must('push', compressed)
    await killAfter(() => proxy.passed.sentBytes > 45 * megabyte, ['push', '--chunk-size', '8m', through])
    const before = proxy.passed.sentBytes
    await succeed(start('push', '--chunk-size', '8m', through))
    expect(proxy.passed.sentBytes - before).toBeLessThan(35 * megabyte)
    expect(readdirSync(join(command.root, 'transfers/uploads'))).toEqual([])
    other.must('pull', tag)
    expect(other.must('inspect', tag)).toContain(JSON.stringify(tag))
  })

  it('goes on with the next pull where it stopped', async () => {
    const tag = buildBig('killed/pull:1', 60)
    must('push', tag)
    await using proxy = await startCuttingProxy(registry.host, { direction: 'received', bytes: Infinity, times: 0 })
    const through = tag.replace(registry.host, proxy.host)
    await killAfter(() => proxy.passed.receivedBytes > 30 * megabyte, ['pull', through], other.start)
    const before = proxy.passed.receivedBytes
    await succeed(other.start('pull', through))
    expect(proxy.passed.receivedBytes - before).toBeLessThan(45 * megabyte)
    expect(readdirSync(join(other.root, 'incoming'))).toEqual([])
  })
})

describe('several processes', () => {
  it('that pull the same image fetch its blobs once', async () => {
    const tag = buildBig('shared/pull:1', 40)
    must('push', tag)
    must('rmi', tag)
    must('gc')
    await using proxy = await startCuttingProxy(registry.host, { direction: 'received', bytes: Infinity, times: 0 })
    const through = tag.replace(registry.host, proxy.host)
    await Promise.all([start('pull', through), start('pull', through), start('pull', through)].map(succeed))
    expect(proxy.passed.receivedBytes).toBeLessThan(50 * megabyte)
  })
})

describe('a second push', () => {
  it('sends nothing, and to another repository mounts what the registry has', () => {
    const tag = buildBig('origin/app:1', 5)
    must('push', tag)
    const config = join(command.root, 'transfers/origins.json')
    expect(readFileSync(config, 'utf8')).toContain(`${registry.host}/origin/app`)
    expect(command.run('push', tag).stderr).not.toMatch(/push done|mounted/u)
    const elsewhere = `${registry.host}/elsewhere/app:1`
    must('tag', tag, elsewhere)
    const { stderr } = command.run('push', elsewhere)
    expect(stderr).toMatch(/mounted from another repository/u)
    expect(stderr).not.toMatch(/push done/u)
  })

  it('does without what it had noted when that is damaged', () => {
    const tag = buildBig('damaged/app:1', 1)
    expect(existsSync(join(command.root, 'transfers/origins.json'))).toBe(true)
    for (const text of ['{', '[]', '{"sha256:x":[1]}']) {
      writeFileSync(join(command.root, 'transfers/origins.json'), text)
      must('push', tag)
    }
  })
})

describe('the compression of a push', () => {
  const manifestOf = (tag: string): { mediaType: string; layers: { mediaType: string; digest: string; size: number }[] } =>
    JSON.parse(execFileSync('skopeo', ['inspect', '--tls-verify=false', '--raw', `docker://${tag}`], { encoding: 'utf8' })) as ReturnType<typeof manifestOf>

  it('is as asked for, the same again, and read by skopeo and us', () => {
    const tag = `${registry.host}/forms/app:1`
    must('build', '-q', '-t', tag, command.context('forms', { Dockerfile: 'FROM busybox\nRUN seq 300000 > /numbers\n' }))
    const forms = [[], ['--compression', 'gzip', '--compression-level', '9'], ['--compression', 'zstd'], ['--compression', 'zstd', '--compression-level', '19'], ['--compression', 'none'], ['--format', 'docker']]
    const pushed = forms.map((form) => {
      must('push', '--force-compression', ...form, tag)
      const manifest = manifestOf(tag)
      must('push', '--force-compression', ...form, tag)
      expect(manifestOf(tag)).toEqual(manifest)
      execFileSync('skopeo', ['copy', '--quiet', '--src-tls-verify=false', `docker://${tag}`, `dir:${join(folder, 'copied')}`])
      other.must('pull', tag)
      return manifest.layers.map(({ mediaType }) => mediaType.replace(/^.*tar\W?/u, '')).join(' ')
    })
    expect(pushed).toEqual(['gzip gzip', 'gzip gzip', 'zstd zstd', 'zstd zstd', ' ', 'gzip gzip'])
    expect(manifestOf(tag).mediaType).toBe('application/vnd.docker.distribution.manifest.v2+json')
    expect(command.run('push', '--compression', 'gzip', '--compression-level', '12', tag)).toMatchObject({ exitCode: 2 })
  })

  it('has one family of media types, also on a base of the other', () => {
    const base = `${registry.host}/forms/base:1`
    const derived = `${registry.host}/forms/derived:1`
    must('build', '-q', '-t', base, command.context('forms-base', { Dockerfile: 'FROM busybox\nLABEL of=base\n' }))
    must('push', '--format', 'docker', base)
    for (const step of ['LABEL of=derived', 'RUN echo derived >/derived']) {
      other.must('build', '-q', '-t', derived, other.context('forms-derived', { Dockerfile: `FROM ${base}\n${step}\n` }))
      other.must('push', derived)
      const { mediaType, layers } = manifestOf(derived)
      expect(new Set([mediaType, ...layers.map((layer) => layer.mediaType)])).toEqual(new Set(['application/vnd.oci.image.manifest.v1+json', 'application/vnd.oci.image.layer.v1.tar+gzip']))
    }
    other.must('push', '--format', 'docker', derived)
    expect(manifestOf(derived).layers.map(({ mediaType }) => mediaType)).toEqual(Array(2).fill('application/vnd.docker.image.rootfs.diff.tar.gzip'))
  })
})
