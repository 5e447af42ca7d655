import { spawnSync } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { Canceled } from '../../core/errors.ts'
import { getAddon } from '../../native/index.ts'
import type { ContainerExit } from '../../runtime/index.ts'
import { runContainer } from '../../runtime/index.ts'
import { makeSpec } from '../support/container.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const busybox = workspace.makeBusyboxLayer()
afterAll(() => { workspace[Symbol.dispose]() })

const rootfs = () => ({ kind: 'overlay', lowers: [{ kind: 'directory', path: busybox }], upper: workspace.makeUpper(), xattrs: 'trusted' }) as const

interface Typist {
  /** What to type when the script has said "ready". */
  readonly typed?: Uint8Array
  readonly signals?: EventEmitter
  /** Called when the script has said anything. */
  readonly onFirst?: () => void
  /** Reads nothing for half a second. */
  readonly isLate?: boolean
}

/** Runs a script with a terminal whose other side are two pipes. */
async function runInTerminal(script: string, typist: Typist = {}): Promise<{ readonly exit: ContainerExit; readonly screen: string }> {
  const input = getAddon().pipe(0)
  const output = getAddon().pipe(0)
  const type = (): void => {
    typist.onFirst?.()
    if (typist.typed !== undefined) writeSync(input[1], typist.typed)
  }
  const screen = readScreen(output[0], typist.isLate === true ? 500 : 0, type)
  try {
    const spec = makeSpec({ args: ['/bin/sh', '-c', script], rootfs: rootfs() })
    const exit = await runContainer(spec, { kind: 'terminal', input: input[0], output: output[1], signals: typist.signals ?? new EventEmitter() }, { signal: new AbortController().signal, emit: () => undefined })
    closeSync(output[1])
    return { exit, screen: await screen }
  } finally {
    for (const fd of input) closeSync(fd)
  }
}

async function readScreen(fd: number, delayMs: number, onFirst: () => void): Promise<string> {
  await setTimeout(delayMs)
  const chunks: Buffer[] = []
  for await (const bytes of new Socket({ fd, readable: true, writable: false })) {
    chunks.push(bytes as Buffer)
    if (chunks.length === 1) onFirst()
  }
  return Buffer.concat(chunks).toString('latin1')
}

describe('a container with a terminal', () => {
  it('has it on its three streams, as /dev/console, and in its own devpts', async () => {
    const { exit, screen } = await runInTerminal('tty; ls -1 /dev/pts; stat -c %t:%T /dev/console /proc/self/fd/2 -L | sort -u; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all; echo to-console > /dev/console; exit 6')
    expect(exit.exitCode).toBe(6)
    expect(screen).toBe('/dev/pts/0\r\n0\r\nptmx\r\n88:0\r\nall\r\nto-console\r\n')
  })

  it('is controlled by it', async () => {
    const { screen } = await runInTerminal('echo on /dev/tty > /dev/tty; cut -d" " -f5,6,7,8 /proc/self/stat')
    expect(screen).toBe(`on /dev/tty\r\n2 2 ${136 << 8} 2\r\n`)
  })

  it('reads what is typed, bytes as they are', async () => {
    const { screen } = await runInTerminal('stty raw -echo; echo ready; dd bs=1 count=5 2> /dev/null | od -An -tx1', { typed: Uint8Array.of(0x61, 0x03, 0xff, 0x04, 0x0d) })
    expect(screen.trim().split(/\s+/u)).toEqual(['ready', '61', '03', 'ff', '04', '0d'])
  })

  it('is interrupted by the character for it', async () => {
    const { exit } = await runInTerminal('echo ready; sleep 600', { typed: Uint8Array.of(0x03) })
    expect(exit).toMatchObject({ exitCode: 130, signal: 'SIGINT' })
  })

  it('delivers everything written before the end, also to a late reader', async () => {
    /* More than a pipe holds, and no more than pipe and terminal hold together: the process ends before it is read. */
    const { screen } = await runInTerminal('seq 1 12000', { isLate: true })
    expect(screen.split('\r\n').slice(-2)).toEqual(['12000', ''])
    expect(screen.split('\r\n').length).toBe(12_001)
  })

  it('belongs to the user that the process is', async () => {
    const input = openSync('/dev/null', 'r')
    const output = getAddon().pipe(0)
    const spec = makeSpec({ args: ['/bin/sh', '-c', 'echo mine > $(tty) && stat -c "%u %g %a" $(tty)'], rootfs: rootfs(), process: { user: { uid: 1000, gid: 1000, groups: [] } } })
    await runContainer(spec, { kind: 'terminal', input, output: output[1] }, { signal: new AbortController().signal, emit: () => undefined })
    const bytes = Buffer.alloc(1000)
    expect(bytes.toString('utf8', 0, readSync(output[0], bytes))).toBe('mine\r\n1000 5 620\r\n')
    for (const fd of [input, ...output]) closeSync(fd)
  })
})

describe('a terminal that nobody reads', () => {
  it('does not keep an aborted container', async () => {
    const input = openSync('/dev/null', 'r')
    const output = getAddon().pipe(0)
    const controller = new AbortController()
    const reason = new Canceled('SIGINT')
    void setTimeout(300).then(() => { controller.abort(reason) })
    const spec = makeSpec({ args: ['/bin/seq', '1', '12000'], rootfs: rootfs() })
    await expect(runContainer(spec, { kind: 'terminal', input, output: output[1] }, { signal: controller.signal, emit: () => undefined })).rejects.toBe(reason)
    for (const fd of [input, ...output]) closeSync(fd)
  })
})

describe('a container on a real terminal', () => {
  it('has its size, and follows when that changes', () => {
    const folder = workspace.makeFolder()
    const mounts = [{ kind: 'bind', source: folder, target: '/shared', readonly: false }] as const
    const spec = makeSpec({ args: ['/bin/sh', '-c', 'stty size; trap "stty size; exit 3" WINCH; touch /shared/ready; sleep 20 & wait'], rootfs: rootfs(), mounts })
    const child = join(import.meta.dirname, '../support/terminal-child.ts')
    const command = `stty raw rows 33 cols 77; exec ${process.execPath} ${child} '${JSON.stringify(spec)}' ${join(folder, 'ready')}`
    const { status, stdout } = spawnSync('script', ['-qec', command, '/dev/null'], { encoding: 'utf8', input: '' })
    expect(stdout).toContain('33 77\r\n50 120\r\n')
    expect(status).toBe(3)
  })
})

describe('signals of the caller', () => {
  it('are passed on to the process while it runs', async () => {
    const signals = new EventEmitter()
    const waiting = Promise.withResolvers<undefined>()
    const running = runInTerminal('trap "echo got it; exit 8" USR2; echo waiting; sleep 600 & wait', { signals, onFirst: () => { waiting.resolve(undefined) } })
    await waiting.promise
    expect(signals.listenerCount('SIGUSR2')).toBe(1)
    signals.emit('SIGUSR2', 'SIGUSR2')
    const { exit, screen } = await running
    expect(exit.exitCode).toBe(8)
    expect(screen).toBe('waiting\r\ngot it\r\n')
    expect(signals.listenerCount('SIGUSR2')).toBe(0)
  })
})

describe('descriptors passed through', () => {
  it('are the process\'s own', async () => {
    const input = getAddon().pipe(0)
    const output = getAddon().pipe(0)
    writeSync(input[1], 'some text\n')
    closeSync(input[1])
    const spec = makeSpec({ args: ['/bin/sh', '-c', 'cat; echo error >&2'], rootfs: rootfs() })
    const exit = await runContainer(spec, { kind: 'descriptors', fds: [input[0], output[1], output[1]] }, { signal: new AbortController().signal, emit: () => undefined })
    expect(exit.exitCode).toBe(0)
    const bytes = Buffer.alloc(1000)
    expect(bytes.toString('utf8', 0, readSync(output[0], bytes))).toBe('some text\nerror\n')
    for (const fd of [input[0], ...output]) closeSync(fd)
  })
})
