import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Outcome } from '../support/command.ts'
import { useCommand } from '../support/command.ts'

const tsbuild = useCommand('store-threats')
const program = join(import.meta.dirname, '..', '..', 'bin', 'tsbuild.cjs')
const context = tsbuild.context('context', { Dockerfile: 'FROM scratch\nCOPY f /f\nCOPY f /g\n', f: 'x' })
const mountpoint = join(tsbuild.folder, 'mounted')
mkdirSync(mountpoint)

/** In a mount namespace of its own, where `mount` has put something at "$1"; `ts` is the command with its store there. */
function inside(script: string): Outcome {
  const whole = `set -e; node=$2; program=$3; context=$4; ts() { "$node" "$program" "$@"; }; export TSBUILD_ROOT="$1/store"; ${script}`
  const { status, stdout, stderr } = spawnSync('unshare', ['-m', '--propagation', 'private', 'sh', '-c', whole, 'sh', mountpoint, process.execPath, program, context], { encoding: 'utf8', env: { ...process.env, DOCKER_CONFIG: tsbuild.folder } })
  return { exitCode: status, stdout, stderr }
}

const noModes = 'mount -t tmpfs -o nosuid,nodev,noexec none "$1"'
const onOverlay = 'mount -t tmpfs none "$1"; mkdir "$1/l" "$1/u" "$1/w" "$1/m"; mount -t overlay -o "lowerdir=$1/l,upperdir=$1/u,workdir=$1/w" none "$1/m"; export TSBUILD_ROOT="$1/m/store"'

describe('a store', () => {
  it.each([['a tmpfs without programs, devices and set-ids', noModes], ['an overlay', onOverlay]])('on %s builds and is clean', (_, mount) => {
    expect(inside(`${mount}; ts -q -t a "$context"; ts fsck`)).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/\n1 images, \d layers, \d blobs: clean\n$/u) as string })
  })

  it('on a filesystem that became read-only says so', () => {
    const { exitCode, stderr } = inside('mount -t tmpfs none "$1"; ts df > /dev/null; mount -o remount,ro "$1"; ts df')
    expect({ exitCode, stderr }).toEqual({ exitCode: 5, stderr: `error: cannot use store "${mountpoint}/store": its filesystem is mounted read-only; TSBUILD_ROOT can name another place\nbecause: unable to open database file\n` })
  })

  it('with a damaged database says what to do', () => {
    tsbuild.must('df')
    const root = join(tsbuild.folder, 'damaged')
    spawnSync(process.execPath, [program, 'df'], { env: { ...process.env, TSBUILD_ROOT: root } })
    writeFileSync(join(root, 'state.db'), 'no database at all')
    const { status, stderr } = spawnSync(process.execPath, [program, 'df'], { env: { ...process.env, TSBUILD_ROOT: root }, encoding: 'utf8' })
    expect({ status, stderr }).toEqual({ status: 5, stderr: `error: cannot use store "${root}": its state.db is damaged; restore it, or delete the directory and pull and build again\nbecause: file is not a database\n` })
  })

  it('of which a folder lies on another filesystem fails and loses nothing', () => {
    const { exitCode, stdout, stderr } = inside('mount -t tmpfs none "$1"; ts -q -t a "$context"; mount -t tmpfs none "$1/store/trash"; ! ts prune -af; umount "$1/store/trash"; ts fsck; ts prune -af')
    expect(stderr).toContain('EXDEV')
    expect({ exitCode, stdout }).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/clean\n[^]*Freed \d/u) as string })
  })

  it('whose process may open few files says that it is them, and goes on with enough', () => {
    const few = spawnSync('prlimit', ['--nofile=64', process.execPath, program, '-q', '-t', 'few', context], { env: { ...process.env, TSBUILD_ROOT: tsbuild.root }, encoding: 'utf8' })
    expect(few.status).not.toBe(0)
    expect(few.stderr).toContain('EMFILE')
    expect(few.stderr).not.toContain('bug in tsbuild')
    const { status } = spawnSync('prlimit', ['--nofile=128', process.execPath, program, '-q', '-t', 'few', context], { env: { ...process.env, TSBUILD_ROOT: tsbuild.root } })
    expect(status).toBe(0)
    expect(tsbuild.must('fsck')).toContain('clean')
  })
})
