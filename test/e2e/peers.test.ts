import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'
import type { DockerRegistry } from '../support/docker-registry.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'

const command = useCommand('peers')
const reader = useCommand('peers-reader')
const { must } = command
/** TSBUILD_PEERS goes before their commands, and may enter another root on this machine. */
const prefix = (process.env['TSBUILD_PEERS'] ?? '').split(' ').filter((word) => word !== '')

interface Peer {
  /** Succeeds where the tool can work, docker's daemon included. */
  readonly probe: readonly string[]
  readonly pull?: (name: string) => readonly string[]
  /** Prints the digest of what was pulled. */
  readonly digest: (name: string) => readonly string[]
  readonly push: (from: string, to: string) => readonly (readonly string[])[]
  readonly forget?: (names: readonly string[]) => readonly string[]
}

const likeDocker = (digest: Peer['digest'], plain: readonly string[]): Peer => ({
  probe: ['info'],
  pull: (name) => ['pull', '-q', ...plain, name],
  digest,
  push: (from, to) => [['tag', from, to], ['push', '-q', ...plain, to]],
  forget: (names) => ['rmi', ...names],
})
const peers: Readonly<Record<string, Peer>> = {
  skopeo: {
    probe: ['--version'],
    digest: (name) => ['inspect', '--tls-verify=false', '--format', '{{.Digest}}', `docker://${name}`],
    push: (from, to) => [['copy', '-q', '--src-tls-verify=false', '--dest-tls-verify=false', `docker://${from}`, `docker://${to}`]],
  },
  docker: likeDocker((name) => ['inspect', '--format', '{{index .RepoDigests 0}}', name], []),
  podman: likeDocker((name) => ['inspect', '--format', '{{.Digest}}', name], ['--tls-verify=false']),
  buildah: likeDocker((name) => ['inspect', '--type', 'image', '--format', '{{.FromImageDigest}}', name], ['--tls-verify=false']),
}

function use(tool: string, args: readonly string[]): string {
  const [file = '', ...rest] = [...prefix, tool, ...args]
  return execFileSync(file, rest, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}

/** Skopeo is a package that these tests need; the others take part where they are. */
const present = Object.entries(peers).filter(([tool, { probe }]) => {
  const [file = '', ...rest] = [...prefix, tool, ...probe]
  return tool === 'skopeo' || spawnSync(file, rest, { stdio: 'ignore' }).status === 0
})

let registry: DockerRegistry
let ours: string
let digest: string
const held: { tool: string; args: readonly string[] }[] = []

beforeAll(async () => {
  registry = await startDockerRegistry({ directory: join(command.folder, 'registry') })
  importBusybox(command)
  ours = `${registry.host}/ours/app:1`
  must('build', '-q', '-t', ours, command.context('app', { Dockerfile: 'FROM busybox\nRUN seq 30000 > /numbers\nRUN rm /etc/group\nENV A=b\n' }))
  digest = must('push', '-q', ours)
})
afterAll(async () => { await registry[Symbol.asyncDispose]() })
afterEach(() => { for (const { tool, args } of held.splice(0)) use(tool, args) })

describe.each(present)('%s', (tool, peer) => {
  it('reads what we push, and writes what we read', () => {
    const theirs = `${registry.host}/${tool}/app:1`
    if (peer.pull !== undefined) use(tool, peer.pull(ours))
    if (peer.forget !== undefined) held.push({ tool, args: peer.forget([ours]) })
    expect(use(tool, peer.digest(ours))).toContain(digest)
    for (const args of peer.push(ours, theirs)) use(tool, args)
    if (peer.forget !== undefined) held.push({ tool, args: peer.forget([theirs]) })

    const pushed = use('skopeo', ['inspect', '--tls-verify=false', '--format', '{{.Digest}}', `docker://${theirs}`])
    expect(reader.must('pull', '-q', theirs)).toBe(theirs)
    expect(configOf(theirs)).toEqual(configOf(ours))
    expect(reader.must('run', '--rm', theirs, 'sh', '-c', 'tail -n1 /numbers; ls /etc; echo $A')).toMatch(/^30000\n(?!.*group)[^]*b$/u)
    // Their form of the image goes out again as it came.
    const again = `${registry.host}/${tool}/again:1`
    reader.must('tag', theirs, again)
    expect(reader.must('push', '-q', again)).toBe(pushed)
  })
})

function configOf(name: string): unknown {
  return JSON.parse(use('skopeo', ['inspect', '--tls-verify=false', '--config', '--raw', `docker://${name}`]))
}
