import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chownSync, closeSync, copyFileSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { helperPath } from '../../native/addon.ts'
import type { Rootfs } from '../../runtime/index.ts'
import { makeSpec, run, runScript } from '../support/container.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const busybox = workspace.makeBusyboxLayer()
const canary = workspace.makeFolder()
let canaryBefore: string[] = []
afterAll(() => { workspace[Symbol.dispose]() })

/** A layer over busybox that `prepare` fills. */
function hostile(prepare: (layer: string) => void): { readonly rootfs: Rootfs; readonly upperdir: string } {
  const layer = workspace.makeFolder()
  prepare(layer)
  const upper = workspace.makeUpper()
  return { rootfs: { kind: 'overlay', lowers: [layer, busybox].map((path) => ({ kind: 'directory', path })), upper, xattrs: 'trusted' }, upperdir: upper.upperdir }
}

beforeEach(() => {
  rmSync(join(canary, 'folder'), { recursive: true, force: true })
  mkdirSync(join(canary, 'folder'))
  writeFileSync(join(canary, 'folder/null'), 'canary')
  canaryBefore = workspace.describe(canary)
})

const expectUnharmed = (): void => { expect(workspace.describe(canary)).toEqual(canaryBefore) }

const shapes: readonly (readonly [string, (path: string) => void])[] = [
  ['a link to a folder of the host', (path) => { symlinkSync(join(canary, 'folder'), path) }],
  ['a link up and out', (path) => { symlinkSync(`../../../../../../../..${join(canary, 'folder')}`, path) }],
  ['a link to the root', (path) => { symlinkSync('/', path) }],
  ['a link to nothing', (path) => { symlinkSync('/no/such/place', path) }],
  ['a link to itself', (path) => { symlinkSync(path.split('/').at(-1) ?? '', path) }],
  ['a file', (path) => { writeFileSync(path, 'text') }],
  ['a folder of a user', (path) => { mkdirSync(path); chownSync(path, 1000, 1000); writeFileSync(join(path, 'null'), 'theirs') }],
]

describe.each(['proc', 'dev', 'sys'])('an image whose /%s is', (name) => {
  it.each(shapes)('%s gets a real one', async (_, make) => {
    const { rootfs, upperdir } = hostile((layer) => { make(join(layer, name)) })
    const lines = await runScript('for name in proc dev sys; do [ -L /$name ] && echo LINK; stat -c "%u %F" /$name; done; echo hidden > /dev/null; cat /proc/self/comm; ls /sys/kernel > /dev/null && echo sys', { rootfs })
    expect(lines).toEqual(['0 directory', '0 directory', '0 directory', 'cat', 'sys'])
    expect(readdirSync(upperdir)).toEqual([])
    expectUnharmed()
  })
})

describe('an image with links where we mount', () => {
  it('below /dev and /sys finds them hidden', async () => {
    const { rootfs, upperdir } = hostile((layer) => {
      mkdirSync(join(layer, 'dev'))
      mkdirSync(join(layer, 'sys/fs'), { recursive: true })
      for (const path of ['dev/pts', 'dev/shm', 'dev/mqueue', 'dev/ptmx', 'dev/null', 'dev/console', 'sys/fs/cgroup']) symlinkSync(join(canary, 'folder'), join(layer, path))
    })
    expect(await runScript('echo x > /dev/shm/made; echo y > /dev/null; ls /dev/shm; readlink /dev/ptmx', { rootfs })).toEqual(['made', 'pts/ptmx'])
    expect(readdirSync(upperdir)).toEqual([])
    expectUnharmed()
  })

  it('cannot lead a masked path elsewhere', async () => {
    const { rootfs } = hostile((layer) => { symlinkSync(join(canary, 'folder'), join(layer, 'proc')) })
    expect(await runScript('wc -c < /proc/keys; wc -c < /proc/timer_list', { rootfs })).toEqual(['0', '0'])
    expectUnharmed()
  })

  it('at a plain folder\'s /proc is refused', async () => {
    const path = workspace.makeBusyboxLayer()
    symlinkSync(join(canary, 'folder'), join(path, 'proc'))
    await expect(run({ args: ['/bin/true'], rootfs: { kind: 'directory', path } })).rejects.toMatchObject({ stage: 'mount', object: '/proc', errnoName: 'ELOOP' })
    expectUnharmed()
  })
})

describe('a working directory', () => {
  it('that is missing is made inside, owned by the user, through links', async () => {
    const { rootfs, upperdir } = hostile((layer) => { symlinkSync(join(canary, 'folder'), join(layer, 'job')) })
    const { stdout } = await run({ args: ['/bin/sh', '-c', 'pwd -P; stat -c "%u:%g %a" .'], rootfs, process: { cwd: '/job/sub/deep', umask: 0o077, user: { uid: 1000, gid: 1001, groups: [] } } })
    expect(stdout).toBe(`${canary}/folder/sub/deep\n1000:1001 755\n`)
    expect(workspace.describe(upperdir).map((line) => line.split(' ').slice(0, 3).join(' ')).filter((line) => line.includes('/sub'))).toEqual([
      `.${canary}/folder/sub 40755 1000:1001`, `.${canary}/folder/sub/deep 40755 1000:1001`,
    ])
    expectUnharmed()
  })

  it('cannot be reached through descriptors, however many folders the parent left open', async () => {
    const held = Array.from({ length: 60 }, () => openSync('/etc', 'r'))
    const base = hostile(() => undefined)
    for (const prefix of ['/proc/self/fd', '/proc/thread-self/fd', '/proc/1/fd']) {
      for (let fd = 0; fd < 100; fd += 1) {
        const outcome = await run({ args: ['/bin/probe', 'cwd'], rootfs: hostile(() => undefined).rootfs, process: { cwd: `${prefix}/${fd}` } }).catch((error: unknown) => error)
        expect(outcome).toMatchObject({ code: 'RUNTIME_CONTAINER_SETUP_FAILED', stage: 'working directory' })
      }
    }
    held.forEach(closeSync)
    expect(readdirSync(base.upperdir)).toEqual([])
  })

  it('cannot be reached through a link in the image to a descriptor or a root', async () => {
    for (const target of ['/proc/self/fd/3', '/proc/self/cwd', '/proc/1/root', '/proc/self/root/../..']) {
      const { rootfs } = hostile((layer) => { symlinkSync(target, join(layer, 'job')) })
      await expect(run({ args: ['/bin/probe', 'cwd'], rootfs, process: { cwd: '/job' } })).rejects.toMatchObject({ stage: 'working directory' })
    }
  })

  it('that is a file is refused', async () => {
    await expect(run({ args: ['/bin/true'], rootfs: hostile(() => undefined).rootfs, process: { cwd: '/bin/busybox' } })).rejects.toMatchObject({ stage: 'working directory', errnoName: 'ENOTDIR' })
  })
})

describe('descriptors that a hostile parent left to tsbuild', () => {
  it('do not reach a container', async () => {
    const spec = makeSpec({ args: ['/bin/probe', 'descriptors'], rootfs: hostile(() => undefined).rootfs })
    const folders = Array.from({ length: 200 }, () => openSync('/', 'r'))
    const node = spawn(process.execPath, [join(import.meta.dirname, '../support/run-container-child.ts'), JSON.stringify(spec)], { stdio: ['ignore', 'pipe', 'inherit', ...folders] })
    let stdout = ''
    node.stdout?.on('data', (bytes: Buffer) => { stdout += bytes.toString() })
    await once(node, 'close')
    folders.forEach(closeSync)
    expect(stdout).toBe('0\n1\n2\n')
  })
})

describe('the helper\'s program', () => {
  const digest = (): string => createHash('sha256').update(readFileSync(helperPath)).digest('hex')

  it.each(['/proc/1/exe', '/proc/self/exe'])('cannot be written through %s, even with every capability', async (path) => {
    const before = digest()
    const { stdout } = await run({ args: ['/bin/probe', 'write-program', path], rootfs: hostile(() => undefined).rootfs, privilege: { capAdd: ['ALL'] } })
    if (path === '/proc/1/exe') expect(stdout).toBe('unwritable\nchanged owner\n')
    expect(digest()).toBe(before)
    expect((await run({ args: ['/bin/true'], rootfs: hostile(() => undefined).rootfs })).exit.exitCode).toBe(0)
  })

  it('cannot be looked at with Docker\'s capabilities', async () => {
    const { stdout } = await run({ args: ['/bin/probe', 'write-program', '/proc/1/exe'], rootfs: hostile(() => undefined).rootfs })
    expect(stdout).toBe('unreachable Permission denied\n')
  })

  it('as an interpreter is harmless', async () => {
    const before = digest()
    const { rootfs } = hostile((layer) => {
      mkdirSync(join(layer, 'opt'))
      writeFileSync(join(layer, 'opt/entry'), '#!/proc/self/exe run\n', { mode: 0o755 })
      copyFileSync(join(busybox, 'bin/busybox'), join(layer, 'opt/sh'))
    })
    const { exit } = await run({ args: ['/opt/entry'], rootfs, privilege: { capAdd: ['ALL'] } })
    expect(exit.exitCode).not.toBe(0)
    expect(digest()).toBe(before)
  })
})
