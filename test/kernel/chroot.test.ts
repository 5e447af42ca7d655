import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { Executor, Mount } from '../../runtime/index.ts'
import type { ContainerParts } from '../support/container.ts'
import { run } from '../support/container.ts'
import type { LowerLayer } from '../../native/index.ts'
import { writeIndexedLayer } from '../support/indexed-layer.ts'
import { expectClean } from '../support/stores.ts'
import { archive, directory, file } from '../support/tar-forge.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const lower = workspace.makeBusyboxLayer()
const second = workspace.makeFolder()
const project = join(import.meta.dirname, '..', '..')

mkdirSync(join(second, 'etc'))
mkdirSync(join(second, 'data/deep/er'), { recursive: true })
for (const [path, text] of [['etc/hosts', 'the image\'s'], ['data/kept', 'kept'], ['data/changed', 'old'], ['data/gone', 'gone'], ['data/deep/er/file', 'deep']] as const) writeFileSync(join(second, path), text)

afterAll(() => { workspace[Symbol.dispose]() })

const plain: readonly LowerLayer[] = [{ kind: 'directory', path: second }, { kind: 'directory', path: lower }]
const hosts: Mount = { kind: 'file', target: '/etc/hosts', content: Buffer.from('ours'), mode: 0o644, uid: 0, gid: 0 }

/** What a script changes, as a layer has it, without times. */
async function changesOf(executor: Executor, script: string, mounts: readonly Mount[] = [hosts], lowers: readonly LowerLayer[] = plain): Promise<{ readonly output: string; readonly changes: readonly string[] }> {
  const upper = workspace.makeUpper()
  const rootfs = { kind: 'overlay', lowers, upper, xattrs: 'trusted' } as const
  const { exit, stdout, stderr } = await run({ args: ['/bin/sh', '-c', script], rootfs, executor, mounts })
  expect(exit.exitCode, stderr).toBe(0)
  return { output: stdout, changes: workspace.describe(upper.upperdir).map((line) => line.replace(/ \d{9,}\.\d+/u, '').replace(/^(\S+ 4\d+ \S+) .*$/u, '$1')) }
}

describe('a process isolated by chroot', () => {
  it.each([
    ['nothing', 'cat /etc/hosts /data/kept'],
    ['files and folders made', 'mkdir -p /new/folder; echo x > /new/folder/file; ln -s file /new/link; mkfifo /new/pipe; ln /new/folder/file /new/hard'],
    ['a file changed, one deleted', 'echo more >> /data/changed; rm /data/gone'],
    ['permissions and owners', 'chmod 4711 /data/kept; chown 5:6 /data/deep'],
    ['deep inside', 'echo more >> /data/deep/er/file'],
    ['a folder deleted', 'rm -r /data/deep'],
    ['a file in place of a folder, and the reverse', 'rm -r /data/deep; echo x > /data/deep; rm /data/gone; mkdir /data/gone'],
    ['a folder deleted and made anew', 'rm -r /data; mkdir /data; echo x > /data/new'],
    ['devices and files of ours', 'echo x > /dev/null; rm -f /etc/none; cat /etc/hosts'],
  ])('leaves the changes that one on overlay leaves: %s', async (_, script) => {
    expect(await changesOf({ kind: 'chroot' }, script)).toEqual(await changesOf({ kind: 'helper' }, script))
  })

  it('leaves no trace of files it is given in folders that the image lacks, however many', async () => {
    const given = Array.from({ length: 70 }, (_, n): Mount => ({ ...hosts, target: `/data/deep/ours-${n}/nested/file` }))
    const { changes } = await changesOf({ kind: 'chroot' }, 'cat /data/deep/ours-69/nested/file; echo more >> /data/changed', given)
    expect(changes).toEqual((await changesOf({ kind: 'helper' }, 'echo more >> /data/changed', given)).changes)
  })

  it('ends as its process does, with all that it started', async () => {
    const parts: ContainerParts = { args: ['/bin/sh', '-c', '(sleep 98765 &); exit 7'], rootfs: { kind: 'overlay', lowers: [{ kind: 'directory', path: lower }], upper: workspace.makeUpper(), xattrs: 'trusted' }, executor: { kind: 'chroot' } }
    expect((await run(parts)).exit.exitCode).toBe(7)
    expect(readdirSync('/proc').some((pid) => existsSync(`/proc/${pid}/cmdline`) && readCommand(pid).includes('sleep\u000098765'))).toBe(false)
    expect((await run({ ...parts, args: ['/bin/none'] })).exit).toMatchObject({ exitCode: 127, notExecuted: { reason: 'not-found' } })
    await expect(run({ ...parts, args: ['/bin/sleep', '60'] }, AbortSignal.timeout(300))).rejects.toThrow('timeout')
  })

  it('has the capabilities and the user asked for, and cannot leave', async () => {
    const rootfs = () => ({ kind: 'overlay', lowers: [{ kind: 'directory', path: lower }], upper: workspace.makeUpper(), xattrs: 'trusted' }) as const
    const { stdout } = await run({ args: ['/bin/sh', '-c', 'id; ls /; (mount -t tmpfs x /bin) 2>/dev/null && echo MOUNTED; true'], rootfs: rootfs(), executor: { kind: 'chroot' }, process: { user: { uid: 7, gid: 8, groups: [9] } } })
    expect(stdout).toBe('uid=7 gid=8 groups=9\nbin\ndev\nproc\nsys\n')
  })

  it.each([
    ['a limit', { limits: { memoryBytes: 1 << 26 } }, 'limits.memoryBytes'],
    ['a network of its own', { isolation: { network: { mode: 'none' } } }, 'isolation.network'],
    ['a mount', { mounts: [{ kind: 'tmpfs', target: '/x' }] }, 'mounts[0].kind'],
    ['a read-only root', { privilege: { readonlyRootfs: true } }, 'privilege.readonlyRootfs'],
    ['a filter', { privilege: { seccomp: { kind: 'profile', profile: {} } } }, 'privilege.seccomp'],
  ] as const)('is refused %s', async (_, parts, field) => {
    const rootfs = { kind: 'overlay', lowers: [{ kind: 'directory', path: lower }], upper: workspace.makeUpper(), xattrs: 'trusted' } as const
    await expect(run({ args: ['/bin/true'], rootfs, executor: { kind: 'chroot' }, ...parts })).rejects.toMatchObject({ code: 'RUNTIME_INVALID_SPEC', field })
  })
})

it('layers that are filesystems of their own are read, and mounted where nobody sees them', async () => {
  const image = await writeIndexedLayer(join(workspace.makeFolder(), 'layer'), archive(directory('data/'), file('data/kept', 'image'), file('data/.wh.gone', ''), file('data/deep', 'no folder any more')), [{ kind: 'directory', path: second }])
  const lowers = [image, { kind: 'directory', path: second }, { kind: 'directory', path: lower }] as const
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
  const script = 'cat /data/kept /data/deep; ls /data; echo more >> /data/kept; mv /data/changed /data/moved; cat /proc/mounts'
  const { changes, output } = await changesOf({ kind: 'chroot' }, script.replace('cat /proc/mounts', 'test ! -e /proc/mounts'), [hosts], lowers)
  expect(output).toMatch(/^imageno folder any morechanged\ndeep\nkept\n$/u)
  expect(changes).toEqual((await changesOf({ kind: 'helper' }, script, [hosts], lowers)).changes)
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).toBe(mounts)
})

describe('tsbuild inside a container of default confinement', () => {
  const store = workspace.makeFolder()
  const outer = workspace.makeFolder()
  for (const name of ['lib', 'lib64', 'sbin']) symlinkSync(`usr/${name}`, join(outer, name))

  const tsbuild = (...args: readonly string[]): ReturnType<typeof inside> => inside(['/node', '/project/bin/tsbuild.cjs', ...args])

  async function inside(args: readonly string[]): Promise<{ readonly exitCode: number; readonly stdout: string; readonly stderr: string }> {
    const bind = (source: string, target: string, readonly = true): Mount => ({ kind: 'bind', source, target, readonly })
    const { exit, stdout, stderr } = await run({
      args,
      rootfs: { kind: 'overlay', lowers: [{ kind: 'directory', path: outer }, { kind: 'directory', path: lower }], upper: workspace.makeUpper(), xattrs: 'trusted' },
      process: { env: ['PATH=/usr/bin:/bin', 'TSBUILD_ROOT=/store/root', 'HOME=/store'] },
      mounts: [bind('/usr', '/usr'), bind(project, '/project'), bind(process.execPath, '/node'), bind(store, '/store', false)],
    })
    return { exitCode: exit.exitCode, stdout, stderr }
  }

  it('builds, after a warning that says what is not isolated', async () => {
    mkdirSync(join(store, 'context'))
    writeFileSync(join(store, 'context/file'), 'text\n')
    writeFileSync(join(store, 'context/Dockerfile'), 'FROM scratch\nCOPY busybox /bin/sh\nCOPY --chown=3:4 file /srv/file\nRUN echo made > /made\nUSER 5\nRUN read line < /made; read text < /srv/file; echo $line, $text\n')
    writeFileSync(join(store, 'context/busybox'), readFileSync(join(lower, 'bin/busybox')), { mode: 0o755 })
    const { exitCode, stdout, stderr } = await tsbuild('build', '-t', 'nested', '--progress', 'plain', '/store/context')
    expect(exitCode, stderr).toBe(0)
    expect(stderr).toContain('isolated by chroot only')
    expect(`${stdout}${stderr}`).toContain('made, text')
    expect((await tsbuild('run', 'nested', '/bin/sh', '-c', 'read line < /made; echo $line')).stdout).toBe('made\n')
    await expectClean(join(store, 'root'))
  })

  it('keeps deletions also in a store that lies on an overlayfs', async () => {
    const steps = ['RUN for n in a b c; do /busybox mkdir -p /d/$n; echo $n > /d/$n/file; done', 'RUN /busybox rm -r /d/a /d/b/file; /busybox rm -r /d/c; /busybox mkdir /d/c; echo new > /d/c/other', 'RUN echo back > /d/b/file; /busybox rm /d/c/other']
    writeFileSync(join(store, 'context/deleting'), `FROM scratch\nCOPY busybox /bin/sh\nCOPY busybox /busybox\n${steps.join('\n')}\n`)
    const look = 'run deleting /bin/sh -c "cd /d; echo *; /busybox ls b c; /busybox cat b/file"'
    const commands = ['build -q -t deleting -f /store/context/deleting /store/context', look, 'fsck', 'save -o /store/deleting.tar deleting', 'rmi deleting', 'gc', 'load -i /store/deleting.tar', look, 'fsck']
    /* The container's own root filesystem is an overlay. */
    const { exitCode, stdout, stderr } = await inside(['/bin/sh', '-c', `export TSBUILD_ROOT=/inner; set -e\n${commands.map((command) => `/node /project/bin/tsbuild.cjs ${command}`).join('\n')}`])
    expect(exitCode, stderr).toBe(0)
    const seen = 'b c\nb:\nfile\n\nc:\nback\n'
    expect(stdout.split(seen)).toHaveLength(3)
    expect(stdout.match(/clean/gu)).toHaveLength(2)
    expect((await tsbuild('load', '-i', '/store/deleting.tar')).exitCode).toBe(0)
    expect(await tsbuild('run', 'deleting', '/bin/sh', '-c', 'cd /d; echo *; /busybox ls b c; /busybox cat b/file')).toMatchObject({ exitCode: 0, stdout: seen })
    const { stdout: listed } = spawnSync('sh', ['-c', 'for layer in $(tar tf "$0" | grep blobs); do tar xOf "$0" $layer | tar tzf - 2> /dev/null; done', join(store, 'deleting.tar')], { encoding: 'utf8' })
    expect(listed.split('\n').filter((path) => path.includes('.wh.')).sort()).toEqual(['d/.wh.a', 'd/b/.wh.file', 'd/c/.wh..wh..opq', 'd/c/.wh.other'])
  }, 60_000)

  it('says so with --isolation namespaces, which cannot be had', async () => {
    const { exitCode, stderr } = await tsbuild('run', '--isolation', 'namespaces', '--network', 'host', 'nested', '/bin/sh', '-c', 'exit 0')
    expect(exitCode).toBe(6)
    expect(stderr).toMatch(/^error: cannot .*(?:EPERM|EROFS|EACCES)/mu)
  })
})

function readCommand(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error) return ''
    throw error
  }
}
