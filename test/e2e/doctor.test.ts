import type { SpawnSyncReturns } from 'node:child_process'
import { spawnSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { HostFinding } from '../../runtime/index.ts'
import { useCommand } from '../support/command.ts'
import { createPlainUser } from '../support/plain-user.ts'

const command = useCommand('doctor')
const user = createPlainUser()

afterAll(() => { user[Symbol.dispose]() })

const parse = (text: string): Map<string, HostFinding> => new Map((JSON.parse(text) as HostFinding[]).map((finding) => [finding.name, finding]))

describe('tsbuild doctor', () => {
  it('tells root what the host offers, with a remedy for everything that is missing', () => {
    const findings = parse(command.must('doctor', '--json'))
    for (const name of ['kernel', 'identity', 'overlay', 'seccomp', 'user-namespaces', 'container']) expect(findings.get(name), name).toMatchObject({ state: 'offered' })
    for (const { name, state, remedy } of findings.values()) if (state !== 'offered') expect(remedy, name).toMatch(/\w/u)
    expect(findings.get('gzip')).toMatchObject({ state: 'offered', detail: expect.stringContaining('ISA-L') as unknown })
    for (const controller of ['memory', 'cpu', 'pids', 'io', 'cpuset']) expect(findings.has(`cgroup-${controller}`)).toBe(true)
    expect(command.must('doctor').split('\n').some((line) => line.startsWith('ok  container'))).toBe(true)
  })

  it('tells a plain user what they have, and tries a container as them', () => {
    const { exitCode, stdout, stderr } = user.run('doctor', '--json')
    expect(exitCode, stderr).toBe(0)
    const findings = parse(stdout)
    expect(findings.get('identity')?.detail).toContain(user.name)
    expect(findings.get('subordinate-ids')).toMatchObject({ state: 'offered' })
    expect(findings.get('container')).toMatchObject({ state: 'offered' })
    expect(findings.get('cgroup-memory')).toMatchObject({ state: 'missing' })
    expect(findings.get('erofs-layers')).toMatchObject({ state: 'missing', detail: expect.stringContaining('takes root') as unknown, remedy: expect.stringContaining('kept as directories') as unknown })
  })

  it('says how layers could be mounted as EROFS images, and how new ones are kept', () => {
    const tmpfs = join(command.folder, 'tmpfs')
    const findings = (before: string, root: string, format: string): Map<string, HostFinding> => {
      const script = `mkdir -p ${tmpfs}; mount -t tmpfs tmpfs ${tmpfs} && ${before} && exec env TSBUILD_ROOT=${root} TSBUILD_LAYER_FORMAT=${format} "$@"`
      const { stdout } = spawnSync('unshare', ['-m', 'sh', '-c', script, 'sh', process.execPath, join(import.meta.dirname, '..', '..', 'bin', 'tsbuild.cjs'), 'doctor', '--json'], { encoding: 'utf8' })
      return parse(stdout)
    }
    const inMemory = findings('true', join(tmpfs, 'store'), 'erofs')
    expect(inMemory.get('erofs-layers')).toMatchObject({ state: 'offered', detail: 'mounted by loop devices' })
    expect(inMemory.get('store')).toMatchObject({ state: 'offered', detail: expect.stringContaining('new layers are kept as EROFS images') as unknown })
    const withoutLoops = findings('mount --bind /dev/null /dev/loop-control', join(tmpfs, 'store'), '')
    expect(withoutLoops.get('erofs-layers')).toMatchObject({ state: 'missing', detail: expect.stringContaining('a mount by loop devices failed with E') as unknown })
    expect(withoutLoops.get('store')).toMatchObject({ state: 'offered', detail: expect.stringContaining('new layers are kept as directories') as unknown })
  })

  it('names missing subordinate ids, and ranges that users share', () => {
    expect(parse(user.runWithIds('', 'doctor', '--json').stdout).get('subordinate-ids')).toMatchObject({ state: 'missing', remedy: expect.stringContaining('usermod --add-subuids') as unknown })
    const shared = user.runWithIds(`${user.name}:200000:65536\nmallory:210000:10\n`, 'doctor', '--json')
    expect(parse(shared.stdout).get('subordinate-ids')).toMatchObject({ state: 'missing', detail: expect.stringContaining('mallory') as unknown })
  })

  it('fails exactly where a build would: no such driver or format, a store that cannot be opened', () => {
    const script = 'mkdir -p "$1/l" "$1/u" "$1/w" "$1/m" && mount -t overlay -o lowerdir="$1/l",upperdir="$1/u",workdir="$1/w" none "$1/m" && shift && exec env TSBUILD_ROOT="$@"'
    const folder = join(command.folder, 'stacked')
    const program = [process.execPath, join(import.meta.dirname, '..', '..', 'bin', 'tsbuild.cjs')]
    const buildContext = command.context('trial', { Dockerfile: 'FROM scratch\nWORKDIR /made\n' })
    const onOverlay = (first: string, ...args: readonly string[]): SpawnSyncReturns<string> => spawnSync('unshare', ['-m', 'sh', '-c', `${first} && ${script}`, 'sh', folder, join(folder, 'm', 'store'), ...program, ...args], { encoding: 'utf8' })
    // There snapshots are made by fuse-overlayfs where that can be had, else as copies.
    for (const [first, driver] of [['true', 'fuse-overlayfs'], ['mount --bind /dev/null /dev/fuse', 'vfs']] as const) {
      const found = onOverlay(first, 'doctor', '--json')
      expect(found.status, found.stderr).toBe(0)
      expect(parse(found.stdout).get('store')).toMatchObject({ state: 'offered', detail: expect.stringContaining(`snapshots by ${driver}, because the store is on overlayfs`) as unknown })
      expect(onOverlay(first, 'build', '-q', buildContext).status).toBe(0)
    }
    const asked = (root: string, env: NodeJS.ProcessEnv, ...args: readonly string[]): SpawnSyncReturns<string> => spawnSync(program[0] ?? '', [...program.slice(1), ...args], { encoding: 'utf8', env: { ...process.env, TSBUILD_ROOT: root, ...env } })
    const file = join(command.folder, 'a-file')
    writeFileSync(file, '')
    for (const [root, env] of [[join(command.folder, 'other'), { TSBUILD_STORAGE_DRIVER: 'moon' }], [file, {}], [join(command.folder, 'third'), { TSBUILD_LAYER_FORMAT: 'moon' }]] as const) {
      const refused = asked(root, env, 'doctor', '--json')
      expect(refused.status, refused.stderr).toBe(6)
      expect(parse(refused.stdout).get('store')).toMatchObject({ state: 'broken' })
      expect(asked(root, env, 'build', '-q', buildContext).status).not.toBe(0)
    }
  })

  it('leaves nothing where it tried', () => {
    expect(readdirSync(command.folder).filter((name) => name.startsWith('.tsbuild-doctor'))).toEqual([])
  })
})
