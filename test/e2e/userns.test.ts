import { spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Outcome } from '../support/command.ts'
import { importBusybox, useCommand } from '../support/command.ts'

const line = useCommand('userns')
const { must, folder, context } = line

beforeAll(() => { importBusybox(line) })

/** Where /etc/subuid and /etc/subgid hold these lines, for this command only. */
const underIds = (ids: string, args: readonly string[]): [string, string[]] => {
  const file = join(folder, 'ids')
  writeFileSync(file, ids)
  const script = 'for name in subuid subgid; do mount --bind "$1" /etc/$name || exit 99; done; shift; exec "$@"'
  return ['unshare', ['-m', 'sh', '-c', script, 'sh', file, process.execPath, join(import.meta.dirname, '../../bin/tsbuild.cjs'), ...args]]
}
const env = { ...process.env, TSBUILD_ROOT: line.root }
const runWithIds = (ids: string, ...args: readonly string[]): Outcome => {
  const { status, stdout, stderr } = spawnSync(...underIds(ids, args), { env, encoding: 'utf8', cwd: folder })
  return { exitCode: status, stdout, stderr }
}

const lent = 'dockremap:700000:65536\ncontainers:1000000:131072\n'

describe('--userns', () => {
  it('remap gives every container the ids lent to one user', () => {
    const { exitCode, stdout, stderr } = runWithIds(lent, 'run', '--userns', 'remap', 'busybox', 'sh', '-c', 'cat /proc/self/uid_map; id -u')
    expect(exitCode, stderr).toBe(0)
    expect(stdout.trim().split(/\s+/u)).toEqual(['0', '700000', '65536', '0'])
    expect(runWithIds('ann:700000:1000\n', 'run', '--userns', 'remap:ann', 'busybox', 'cat', '/proc/self/uid_map').stdout.trim().split(/\s+/u)).toEqual(['0', '700000', '1000'])
  })

  it('auto gives each running container ids that no other has, and says when none are left', async () => {
    const one = spawn(...underIds(lent, ['run', '--name', 'shifted', '--userns', 'auto', 'busybox', 'sh', '-c', 'cat /proc/self/uid_map; exec sleep 600']), { env, stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const first = await new Promise<string>((resolve) => { one.stdout.once('data', (bytes: Buffer) => { resolve(bytes.toString('utf8')) }) })
      const [, start = ''] = first.trim().split(/\s+/u)
      expect(JSON.parse(must('inspect', '-f', '{{json .UidMap}}', 'shifted'))).toEqual([{ containerID: 0, hostID: Number(start), size: 65_536 }])
      const other = start === '1000000' ? '1065536' : '1000000'
      for (let turn = 0; turn < 3; turn++) expect(runWithIds(lent, 'run', '--userns', 'auto', 'busybox', 'cat', '/proc/self/uid_map').stdout.trim().split(/\s+/u)).toEqual(['0', other, '65536'])
      const refused = runWithIds(lent, 'run', '--userns', 'auto:size=100000', 'busybox', 'true')
      expect(refused).toMatchObject({ exitCode: 6, stdout: '' })
      expect(refused.stderr).toMatch(/all 1 parts of 100000 ids of user "containers" are in use.*auto:size=N/su)
    } finally {
      one.kill('SIGKILL')
      await new Promise((resolve) => { one.once('exit', resolve) })
    }
    await expect.poll(() => runWithIds(lent, 'run', '--userns', 'auto:size=100000', 'busybox', 'true').exitCode).toBe(0)
  })

  it('changes no layer of a build, which finds its steps in the cache again', () => {
    const path = context('steps', { Dockerfile: 'FROM busybox\nRUN --mount=type=cache,target=/c,uid=7 echo x > /made && chown 5:6 /made && stat -c %u /c > /owner && cat /proc/self/uid_map >&2\n' })
    const built = runWithIds(lent, 'build', '-t', 'mapped', '--userns', 'remap', path)
    expect(built.exitCode, built.stderr).toBe(0)
    expect(built.stderr).toContain('700000')
    expect(must('build', '-q', '-t', 'plain', path)).toBe(must('build', '-q', '--userns', 'host', path))
    expect(must('run', 'mapped', 'sh', '-c', 'stat -c %u:%g /made; cat /owner').split('\n')).toEqual(['5:6', '7'])
  })

  it.each(['runc', 'crun'])('gives the containers of %s the same ids, and leaves the same in their layers', (runtime) => {
    const path = context(`steps-${runtime}`, { Dockerfile: 'FROM busybox\nRUN echo x > /made && chown 5:6 /made && rm /bin/zcat && cat /proc/self/uid_map >&2\n' })
    const built = runWithIds(lent, 'build', '--no-cache', '-t', runtime, '--userns', 'remap', '--network', 'none', '--runtime', runtime, '--progress', 'plain', path)
    expect(built.exitCode, built.stderr).toBe(0)
    expect(built.stderr).toMatch(/ 0 +700000 +65536/u)
    expect(must('run', runtime, 'sh', '-c', 'stat -c %u:%g /made /bin/sh; ls /bin/zcat 2> /dev/null; true').split('\n')).toEqual(['5:6', '0:0'])
    const ran = runWithIds(lent, 'run', '--userns', 'remap', '--network', 'none', '--runtime', runtime, '-m', '64m', '-u', '1000', runtime, 'sh', '-c', 'cat /proc/self/uid_map; id -u; stat -c %u:%g /made /etc/hosts')
    expect(ran.exitCode, ran.stderr).toBe(0)
    expect(ran.stdout.trim().split(/\s+/u)).toEqual(['0', '700000', '65536', '1000', '5:6', '0:0'])
  })

  it.each([
    ['nobody', ['--userns', 'remap'], 6, 'dockremap'],
    [lent, ['--userns', 'remap', '--network', 'host'], 1, 'network'],
    [lent, ['--userns', 'remap', '--privileged'], 1, 'isPrivileged'],
    [lent, ['--userns', 'remap', '--pid', 'host'], 1, 'pid'],
    [lent, ['--userns', 'remap', '--runtime', 'runc'], 1, 'isolation.network'],
    [lent, ['--userns', 'remap', '--isolation', 'chroot'], 1, 'executor'],
    ['dockremap:0:65536', ['--userns', 'remap'], 6, 'contains root'],
    [lent, ['--userns', 'auto:size=0'], 2, '--userns'],
    [lent, ['--userns', 'moon'], 2, '--userns'],
  ])('with %j refuses %j', (ids, options, exitCode, words) => {
    const refused = runWithIds(ids, 'run', ...options, 'busybox', 'true')
    expect(refused, refused.stderr).toMatchObject({ exitCode, stdout: '' })
    expect(refused.stderr).toContain(words)
  })
})
