import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { ContainerSpec } from '../../runtime/index.ts'
import { makeSpec, run, runSpec } from '../support/container.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const busybox = workspace.makeBusyboxLayer()
const programs = workspace.makeFolder()
const rootfs = () => ({ kind: 'overlay', lowers: [programs, busybox].map((path) => ({ kind: 'directory', path }) as const), upper: workspace.makeUpper(), xattrs: 'trusted' }) as const
afterAll(() => { workspace[Symbol.dispose]() })

mkdirSync(join(programs, 'opt'))
const addProgram = (name: string, text: string, mode = 0o755): void => {
  writeFileSync(join(programs, 'opt', name), text)
  chmodSync(join(programs, 'opt', name), mode)
}
addProgram('not-executable', '#!/bin/sh\n', 0o644)
addProgram('no-interpreter', '#!/no/such/interpreter\n')
addProgram('no-shebang', 'echo hello\n')
addProgram('other-platform', '\x7fELF\x02\x01\x01')
symlinkSync('loop', join(programs, 'opt/loop'))

describe('the exit of a container', () => {
  it.each([0, 1, 3, 127, 255])('has the exit code %i of its process', async (code) => {
    const { exit } = await run({ args: ['/bin/sh', '-c', `exit ${code}`], rootfs: rootfs() })
    expect(exit).toMatchObject({ exitCode: code, signal: undefined, cause: undefined, notExecuted: undefined })
  })

  it.each([['SIGTERM', 143], ['SIGKILL', 137], ['SIGSEGV', 139]] as const)('names %s when that ended the process', async (signal, exitCode) => {
    const { exit } = await run({ args: ['/bin/sh', '-c', `kill -${signal.slice(3)} $$`], rootfs: rootfs() })
    expect(exit).toMatchObject({ exitCode, signal, cause: undefined })
  })

  it('has a code also for a signal without a name', async () => {
    const { exit } = await run({ args: ['/bin/sh', '-c', 'kill -40 $$'], rootfs: rootfs() })
    expect(exit).toMatchObject({ exitCode: 168, signal: undefined })
  })

  it.each([
    ['no-such-command', 127, 'not-found', 'no-such-command', 'ENOENT'],
    ['/no/such/file', 127, 'not-found', '/no/such/file', 'ENOENT'],
    ['no-interpreter', 127, 'interpreter-not-found', '/opt/no-interpreter', 'ENOENT'],
    ['not-executable', 126, 'not-executable', '/opt/not-executable', 'EACCES'],
    ['/opt', 126, 'not-executable', '/opt', 'EACCES'],
    ['no-shebang', 126, 'wrong-format', '/opt/no-shebang', 'ENOEXEC'],
    ['other-platform', 126, 'wrong-format', '/opt/other-platform', 'ENOEXEC'],
    ['/opt/loop', 126, 'refused', '/opt/loop', 'ELOOP'],
    ['', 127, 'not-found', '', 'ENOENT'],
  ] as const)('says why %j was not executed', async (...[command, exitCode, reason, file, errnoName]) => {
    const { exit } = await run({ args: [command], rootfs: rootfs(), process: { env: ['PATH=/bin:/opt:/nowhere'] } })
    expect(exit).toMatchObject({ exitCode, notExecuted: { reason, file, errnoName } })
  })

  it('says that arguments were too long', async () => {
    const { exit } = await run({ args: ['/bin/true', 'x'.repeat(200_000)], rootfs: rootfs() })
    expect(exit).toMatchObject({ exitCode: 126, notExecuted: { reason: 'arguments-too-long' } })
  })

  it('takes a command from the PATH of the container, in its order', async () => {
    addProgram('true', '#!/bin/sh\nexit 7\n')
    const { exit } = await run({ args: ['true'], rootfs: rootfs(), process: { env: ['PATH=/opt:/bin'] } })
    expect(exit.exitCode).toBe(7)
  })

  it('looks in the usual places without PATH, and in the working directory for an empty part of it', async () => {
    expect((await run({ args: ['true'], rootfs: rootfs(), process: { env: [] } })).exit.exitCode).toBe(0)
    expect((await run({ args: ['no-shebang'], rootfs: rootfs(), process: { env: ['PATH=/bin:'], cwd: '/opt' } })).exit.notExecuted).toMatchObject({ file: './no-shebang', reason: 'wrong-format' })
  })

  it('carries what it used', async () => {
    const { exit } = await run({ args: ['/bin/probe', 'allocate', '64'], rootfs: rootfs() })
    expect(exit.usage.oomKills).toBe(0)
    expect(exit.usage.memoryPeakBytes).toBeGreaterThan(64 << 20)
    expect(exit.usage.memoryPeakBytes).toBeLessThan(80 << 20)
    expect(exit.usage.cpuMs).toBeGreaterThan(1)
    expect(exit.usage.wallMs).toBeGreaterThan(1)
  })
})

describe('output', () => {
  it('arrives complete, each stream in order', async () => {
    const { stdout, stderr } = await run({ args: ['/bin/sh', '-c', 'seq 1 100000; seq 1 50000 >&2'], rootfs: rootfs() })
    expect(stdout).toBe(Array.from({ length: 100_000 }, (_, index) => `${index + 1}\n`).join(''))
    expect(stderr).toBe(Array.from({ length: 50_000 }, (_, index) => `${index + 1}\n`).join(''))
  })

  it('can be written through /dev/stdout by a user that is not root', async () => {
    const { stdout } = await run({ args: ['/bin/sh', '-c', 'echo through > /dev/stdout'], rootfs: rootfs(), process: { user: { uid: 1234, gid: 1234, groups: [] } } })
    expect(stdout).toBe('through\n')
  })

  it('held open by a background process does not hold up the end', async () => {
    // Longer than a test may take.
    const { exit, stdout } = await run({ args: ['/bin/sh', '-c', 'sleep 600 & (setsid sleep 600 &) ; echo done'], rootfs: rootfs() })
    expect(exit.exitCode).toBe(0)
    expect(stdout).toBe('done\n')
  })
})

describe('init', () => {
  it('ends daemons, stopped processes and those that ignore signals together with the main process', async () => {
    const { exit, stdout } = await run({
      args: ['/bin/sh', '-c', 'probe ignore-term > /ready & (setsid sleep 600 < /dev/null > /dev/null 2>&1 &); sleep 600 & kill -STOP $!; until [ -s /ready ]; do sleep 0.05; done; cat /ready; exit 5'],
      rootfs: rootfs(),
    })
    expect(exit.exitCode).toBe(5)
    expect(stdout).toBe('ready\n')
  })

  it('reaps thousands of orphans', async () => {
    const { exit, stdout } = await run({ args: ['/bin/sh', '-c', 'probe orphans 5000 || exit 1; for turn in $(seq 200); do left=$(ps -o stat,pid | grep -c Z); [ $left = 0 ] && break; sleep 0.1; done; echo $left'], rootfs: rootfs() })
    expect(exit.exitCode).toBe(0)
    expect(stdout).toBe('0\n')
  })

  it('survives what processes inside send it', async () => {
    const { exit, stdout } = await run({ args: ['/bin/sh', '-c', 'kill -9 1; kill -STOP 1; kill -SEGV 1; kill -ALRM 1; kill -CHLD 1; echo alive'], rootfs: rootfs() })
    expect(exit.exitCode).toBe(0)
    expect(stdout).toBe('alive\n')
  })

  it('passes on to the main process what it is sent', async () => {
    const { exit } = await run({ args: ['/bin/sh', '-c', 'trap "exit 9" USR1; kill -USR1 1; sleep 5 & wait'], rootfs: rootfs() })
    expect(exit.exitCode).toBe(9)
  })
})

describe('starting', () => {
  const broken = (change: (spec: ContainerSpec) => ContainerSpec): ContainerSpec => change(makeSpec({ args: ['/bin/true'], rootfs: rootfs() }))

  it('names a missing layer', async () => {
    const spec = broken((good) => ({ ...good, rootfs: { ...good.rootfs, kind: 'overlay', lowers: [{ kind: 'directory', path: '/no/such/layer' }], upper: undefined, xattrs: 'trusted' } }))
    await expect(runSpec(spec)).rejects.toMatchObject({ code: 'RUNTIME_CONTAINER_SETUP_FAILED', containerId: spec.id, stage: 'layers', errnoName: 'ENOENT', object: '/no/such/layer' })
  })

  it('refuses an upperdir whose workdir is elsewhere', async () => {
    const spec = broken((good) => ({ ...good, rootfs: { kind: 'overlay', lowers: [{ kind: 'directory', path: busybox }], upper: { ...workspace.makeUpper(), workdir: '/dev/shm' }, xattrs: 'trusted' } }))
    await expect(runSpec(spec)).rejects.toMatchObject({ stage: 'root filesystem', errnoName: 'EINVAL' })
  })

  it('refuses a spec that cannot be', async () => {
    await expect(runSpec({ ...makeSpec({ args: [], rootfs: rootfs() }) })).rejects.toMatchObject({ code: 'RUNTIME_INVALID_SPEC', field: 'process.args' })
  })
})
