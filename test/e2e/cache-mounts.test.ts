import { execFileSync } from 'node:child_process'
import { chownSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'
import type { DockerRegistry } from '../support/docker-registry.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'

const folder = mkdtempSync(join(tmpdir(), 'tsbuild-e2e-caches-'))
const conf = join(folder, 'registries.conf')
const [one, two] = [useCommand('caches-1', { env: { CONTAINERS_REGISTRIES_CONF: conf } }), useCommand('caches-2', { env: { CONTAINERS_REGISTRIES_CONF: conf } })]
let registry: DockerRegistry
beforeAll(async () => {
  registry = await startDockerRegistry({ directory: join(folder, 'registry') })
  writeFileSync(conf, `[[registry]]\nlocation = "${registry.host}"\ninsecure = true\n`)
  for (const command of [one, two]) importBusybox(command)
  one.must('build', '-q', '--network', 'none', one.context('fill', { Dockerfile: `FROM busybox\nUSER 1000:1000\nRUN --mount=type=cache,id=npm,target=/c,uid=1000,gid=1000,mode=0750 echo warm >/c/package && mkdir /c/deep && ln -s ../package /c/deep/link\n` }))
})
afterAll(async () => {
  await registry[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

const owned = ['--uid', '1000', '--gid', '1000', '--mode', '0750'] as const

/** What a build sees in the cache mount of a machine. */
function look(command: typeof one): string {
  const path = command.context('look', { Dockerfile: 'FROM busybox\nUSER 1000:1000\nRUN --mount=type=cache,id=npm,target=/c,uid=1000,gid=1000,mode=0750 touch /c/mine && rm /c/mine && stat -c "%u %a" /c && cat /c/package /c/deep/link 2>&1 || true\n' })
  return command.run('build', '--no-cache', '--progress', 'plain', '--network', 'none', path).stderr
}

describe('tsbuild cache', () => {
  it('lists and inspects cache mounts with owner, size and inodes', () => {
    const [mount] = JSON.parse(one.must('cache', 'ls', '--json')) as { id: string; uid: number; mode: number; inodes: number; diskBytes: number; usedAtMs: number; name: string }[]
    expect(mount).toMatchObject({ id: 'npm', uid: 1000, mode: 0o750, inodes: 4 })
    expect(one.must('cache', 'ls', '-q')).toBe(mount?.name)
    expect(one.must('cache', 'ls', '--format', '{{.ID}} {{.Owner}}')).toBe('npm 1000:1000')
    expect(one.must('cache', 'ls')).toMatch(/ npm +1000:1000 +0750 +\S+ +4 /u)
    expect(JSON.parse(one.must('cache', 'inspect', mount?.name ?? ''))).toHaveLength(1)
    expect(one.run('cache', 'inspect', 'none').exitCode).toBe(3)
    expect(one.run('cache', 'inspect', 'npm', 'none', 'npm')).toMatchObject({ exitCode: 3, stdout: expect.stringMatching(/"npm".*"npm"/su) as string, stderr: expect.stringContaining('no cache mount "none"') as string })
    for (const wrong of [['look'], ['ls', 'npm'], ['ls', '--all'], ['rm', '--push', 'x', 'npm'], ['export', 'npm', 'npm.tar'], ['import', '-i', '/none', 'x']]) expect(one.run('cache', ...wrong).exitCode, wrong.join(' ')).toBe(2)
  })

  it('carries one to another machine by tar, folder and registry', () => {
    const tar = join(folder, 'npm.tar')
    one.must('cache', 'export', '-o', tar, 'npm')
    one.must('cache', 'export', '-o', `${folder}/npm/`, 'npm')
    one.must('cache', 'export', '--push', `${registry.host}/caches/npm:1`, 'npm')
    expect(one.run('cache', 'export', '-o', `${folder}/npm/`, 'npm')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('not empty') as string })
    expect(execFileSync('tar', ['tvf', tar, '--numeric-owner'], { encoding: 'utf8' })).toMatch(/1000\/1000[^\n]* package\n/u)
    for (const from of [['-i', tar], ['-i', join(folder, 'npm')], ['--pull', `${registry.host}/caches/npm:1`]]) {
      two.must('cache', 'import', ...from, ...owned, 'npm')
      expect(look(two)).toMatch(/1000 750\n[^\n]*warm\n[^\n]*warm\n/u)
      expect(two.run('cache', 'import', ...from, ...owned, 'npm')).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('has files already') as string })
      expect(two.must('cache', 'rm', 'npm')).toBe('removed npm')
    }
    expect(two.must('cache', 'ls', '--json')).toBe('[]')
  })

  it('is found by the builds it was for, as far as the place says which, and says by which it is found', () => {
    for (const [from, isSame] of [[['-i', join(folder, 'npm.tar')], false], [['--pull', `${registry.host}/caches/npm:1`], true]] as const) {
      const { stderr } = two.run('cache', 'import', ...from, 'npm')
      expect(stderr).toContain(`--mount=type=cache,id=npm${isSame ? ',uid=1000,gid=1000,mode=0750' : ''}\n`)
      expect(stderr.includes('import with --uid 1000 --gid 1000 --mode 0750')).toBe(!isSame)
      expect(look(two).includes('warm')).toBe(isSame)
      two.must('cache', 'rm', '--all')
    }
    one.must('build', '-q', '--network', 'none', one.context('seed', { Dockerfile: 'FROM busybox AS seed\nRUN mkdir /s && echo seed >/s/f\nFROM busybox\nRUN --mount=type=cache,id=sown,from=seed,source=/s,target=/c echo grown >/c/f\n' }))
    one.must('cache', 'export', '--push', `${registry.host}/caches/sown:1`, 'sown')
    two.must('cache', 'import', '--pull', `${registry.host}/caches/sown:1`, 'sown')
    const path = two.context('seed', { Dockerfile: 'FROM busybox AS seed\nRUN mkdir /s && echo seed >/s/f\nFROM busybox\nRUN --mount=type=cache,id=sown,from=seed,source=/s,target=/c cat /c/f\n' })
    expect(two.run('build', '--progress', 'plain', '--network', 'none', path).stderr).toMatch(/^#\d+ \S+ grown$/mu)
    for (const command of [one, two]) command.must('cache', 'rm', 'sown')
  })

  it('says what is wrong with the place that one is to go to, and what helps', () => {
    const file = join(folder, 'file')
    const [device, link] = [join(folder, 'device'), join(folder, 'link')]
    writeFileSync(file, 'kept')
    execFileSync('mknod', [device, 'c', '1', '3'])
    symlinkSync(device, link)
    for (const [place, problem] of [
      [join(folder, 'none/x.tar'), `the folder "${join(folder, 'none')}" does not exist; make it first`], [join(file, 'x.tar'), `"${file}" is no folder; name another place`],
      ['/proc/x.tar', '"/proc" takes nothing new; name another place'], [folder, 'it is a folder; name a file in it'], [link, 'it is neither file nor folder; name another place, or redirect standard output there'],
      ['/proc/x/', '"/proc" takes nothing new; name another place'], [`${file}/`, 'it is no folder, and one is to be written'], [`${file}/x/`, `"${file}" is no folder; name another place`],
    ] as const) {
      const { exitCode, stderr } = one.run('cache', 'export', '-o', place, 'npm')
      expect([exitCode, stderr.split('\n')[0]], stderr).toEqual([1, `error: cannot write "${place}": ${problem}`])
    }
    expect(readFileSync(file, 'utf8')).toBe('kept')
    expect(lstatSync(link).isSymbolicLink() && lstatSync(device).isCharacterDevice()).toBe(true)
  })

  it('takes nothing of an archive that is no cache, and leaves nothing of a failed import', () => {
    const hostile = join(folder, 'hostile')
    mkdirSync(hostile)
    writeFileSync(join(hostile, 'x'), '')
    execFileSync('tar', ['cf', join(folder, 'hostile.tar'), '-C', hostile, '--transform', 's,^x$,../../../tsbuild-escaped,', '-P', 'x'])
    expect(two.run('cache', 'import', '-i', join(folder, 'hostile.tar'), 'npm').exitCode).toBe(1)
    expect(existsSync('/tsbuild-escaped')).toBe(false)
    two.must('tag', 'busybox', `${registry.host}/app:1`)
    two.must('push', '-q', `${registry.host}/app:1`)
    expect(two.run('cache', 'import', '--pull', `${registry.host}/app:1`, 'npm')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('is no cache mount') as string })
    expect(two.must('cache', 'ls', '--json')).toBe('[]')
  })

  it('are the user\'s of the step that makes them, where no owner is said, and one for all users', () => {
    const path = two.context('users', { Dockerfile: 'FROM busybox\nUSER 1000:1001\nRUN --mount=type=cache,id=mine,target=/new/c echo 1 >/new/c/file\nUSER 0\nRUN --mount=type=cache,id=mine,target=/c cat /c/file && stat -c "%u:%g %a" /c\nRUN ! test -e /new\nUSER 1000\nRUN --mount=type=cache,id=roots,uid=0,target=/c ! touch /c/file\n' })
    expect(two.run('build', '--no-cache', '--progress', 'plain', '--network', 'none', path)).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/ 1\n[^\n]* 1000:1001 755\n/u) as string })
    expect(two.must('cache', 'ls')).toMatch(/mine +1000:1001 +0755 /u)
    two.must('cache', 'rm', '--all')
  })

  it('tells mounts of one id apart by their names, and removes all', () => {
    const other = mkdtempSync(join(folder, 'other-'))
    chownSync(other, 5, 5)
    one.must('cache', 'import', '-i', other, '--uid', '5', 'npm')
    expect(one.run('cache', 'export', '-o', join(folder, 'x.tar'), 'npm')).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('give one of the names') as string })
    expect(one.run('cache', 'rm', 'none')).toMatchObject({ exitCode: 3 })
    expect(one.run('cache', 'rm').exitCode).toBe(2)
    expect(one.must('cache', 'rm', '--all').split('\n')).toHaveLength(2)
    expect(one.must('cache', 'ls', '--json')).toBe('[]')
  })
})
