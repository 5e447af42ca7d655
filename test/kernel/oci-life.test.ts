import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { execDetached, execProcess, OciContainers, OciHookFailed } from '../../runtime/index.ts'
import type { Config, Fields } from '../support/oci-bundle.ts'
import { capabilities, makeBundle } from '../support/oci-bundle.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const rootfs = workspace.makeBusyboxLayer()
const root = workspace.makeFolder()
mkdirSync(join(rootfs, 'filled'))
for (const name of ['one', 'two']) writeFileSync(join(rootfs, 'filled', name), name)
const warnings: unknown[] = []
const containers = new OciContainers(root, { warn: (error) => warnings.push(error) })
const ids: string[] = []
afterAll(async () => {
  for (const id of ids) await containers.delete(id, { isForced: true })
  workspace[Symbol.dispose]()
})

const silent = { on: () => undefined, off: () => undefined }
const makeId = (): string => `life-${randomBytes(6).toString('hex')}`

interface Output { readonly fds: readonly [number, number, number]; readonly read: () => string; readonly close: () => void }

function makeOutput(): Output {
  const file = join(workspace.makeFolder(), 'output')
  const fd = openSync(file, 'a+')
  return { fds: [fd, fd, fd], read: () => readFileSync(file, 'utf8'), close: () => { closeSync(fd) } }
}

async function run(script: string, config: Config = {}): Promise<{ readonly exitCode: number; readonly lines: readonly string[] }> {
  const output = makeOutput()
  const exitCode = await containers.run(makeId(), makeBundle({ workspace, rootfs }, script, config), { fds: output.fds, signals: silent })
  output.close()
  return { exitCode, lines: output.read().split('\n').slice(0, -1) }
}

async function create(script: string, config: Config = {}): Promise<{ readonly id: string; readonly output: Output }> {
  const id = makeId()
  const output = makeOutput()
  await containers.create(id, makeBundle({ workspace, rootfs }, script, config), { fds: output.fds })
  ids.push(id)
  return { id, output }
}

async function until(isSo: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 20_000; !isSo();) {
    if (Date.now() > deadline) throw new Error('it did not come to that')
    await setTimeout(5)
  }
}

describe('run', () => {
  it('gives the exit code of the program, which is the container\'s first process, and leaves nothing', async () => {
    expect(await run('echo $$; cat /proc/1/comm; exit 7')).toEqual({ exitCode: 7, lines: ['1', 'sh'] })
  })

  it('gives 128 and the number of the signal that ended it', async () => {
    const { id } = await create('sleep 600')
    await containers.start(id)
    await containers.delete(id, { isForced: true })
    expect((await run('sleep 600 & kill -9 $!; wait $!')).exitCode).toBe(137)
  })

  it('gives clocks, capabilities of users, what a mount covers, and fifos', async () => {
    const { lines } = await run('cut -d. -f1 /proc/uptime; sed -n "s/^Cap...:.//p" /proc/self/status; ls /filled; test -p /dev/queue && echo fifo; cut -d" " -f7 /proc/self/mountinfo | grep -c master', {
      process: { user: { uid: 1000, gid: 1000 }, capabilities: { ...capabilities('CAP_CHOWN', 'CAP_KILL'), inheritable: ['CAP_KILL'], ambient: ['CAP_KILL'] } },
      mounts: [{ destination: '/filled', type: 'tmpfs', source: 'tmpfs', options: ['tmpcopyup'] }],
      linux: {
        namespaces: ['pid', 'network', 'ipc', 'uts', 'mount', 'cgroup', 'time'].map((type) => ({ type })), timeOffsets: { boottime: { secs: 1_000_000_000, nanosecs: 5 } },
        devices: [{ path: '/dev/queue', type: 'p' }, { path: '/dev/null', type: 'c', major: 1, minor: 3 }, { path: '/dev/ptmx', type: 'c', major: 5, minor: 2 }],
      },
    })
    expect(Number(lines[0])).toBeGreaterThan(1_000_000_000)
    expect(lines.slice(1)).toEqual(['0000000000000020', '0000000000000020', '0000000000000020', '0000000000000021', '0000000000000020', 'one', 'two', 'fifo', '0'])
  })
})

describe('exec', () => {
  it('runs a process to its end in the container\'s namespaces and groups', async () => {
    const { id } = await create('exec sleep 600', { linux: { resources: { pids: { limit: 20 } } } })
    await containers.start(id)
    await until(() => readFileSync(`/proc/${containers.state(id).pid}/comm`, 'utf8') === 'sleep\n')
    const output = makeOutput()
    const kept = containers.running(id)
    const process = { ...kept.process, args: ['/bin/sh', '-c', 'hostname; cat /proc/1/comm; cat /sys/fs/cgroup/pids/pids.max; exit 5'] }
    expect(await execProcess(kept, { process, privilege: kept.privilege, hasTerminal: false, fds: output.fds }, silent)).toBe(5)
    expect(output.read()).toBe('bundled\nsleep\n20\n')
  })

  it('leaves a detached process alone, once it executes', async () => {
    const { id } = await create('sleep 600')
    await containers.start(id)
    const output = makeOutput()
    const kept = containers.running(id)
    const exec = { privilege: kept.privilege, hasTerminal: false, fds: output.fds }
    const pid = await execDetached(kept, { ...exec, process: { ...kept.process, args: ['/bin/sh', '-c', 'echo there; sleep 600; true'] } }, {})
    await until(() => output.read() === 'there\n')
    expect(readFileSync(`/proc/${pid}/comm`, 'utf8')).toBe('sh\n')
    await expect(execDetached(kept, { ...exec, process: { ...kept.process, args: ['/none'] } }, {})).rejects.toMatchObject({ code: 'RUNTIME_PROGRAM_NOT_EXECUTED' })
    await containers.delete(id, { isForced: true })
    await until(() => spawnSync('kill', ['-0', String(pid)]).status !== 0)
  })
})

describe('hooks', () => {
  const hook = (script: string, fields: Fields = {}): Fields => ({ path: '/bin/sh', args: ['sh', '-c', script], env: ['PATH=/usr/bin:/bin'], ...fields })

  it('are called in their order and place, with the state on standard input', async () => {
    const folder = workspace.makeFolder()
    const note = (kind: string): Fields[] => [hook(`echo ${kind} $(readlink /proc/self/ns/net) $(sed 's/.*"status":"\\([a-z]*\\)".*/\\1/') >> ${folder}/notes`)]
    mkdirSync(join(folder, 'inside'))
    const hooks = {
      prestart: note('prestart'), createRuntime: note('createRuntime'), createContainer: note('createContainer'), poststart: note('poststart'), poststop: note('poststop'),
      startContainer: [hook('cat > /inside/state; hostname > /inside/name')],
    }
    const { id, output } = await create('cat /inside/name; readlink /proc/self/ns/net; trap "exit 0" TERM; sleep 600 & wait', { top: { hooks }, mounts: [{ destination: '/inside', type: 'bind', source: join(folder, 'inside'), options: ['bind'] }] })
    const notes = (): string[][] => readFileSync(join(folder, 'notes'), 'utf8').split('\n').slice(0, -1).map((line) => line.split(' '))
    const ours = spawnSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' }).stdout.trim()
    expect(notes().map(([kind, , status]) => [kind, status])).toEqual([['prestart', 'created'], ['createRuntime', 'created'], ['createContainer', 'created']])
    expect(output.read()).toBe('')
    await containers.start(id)
    await until(() => output.read().includes('net:'))
    const [name, theirs] = output.read().split('\n')
    expect(name).toBe('bundled')
    expect(theirs).not.toBe(ours)
    expect(notes().map(([, namespace]) => namespace === ours)).toEqual([true, true, false, true])
    expect(notes()[2]?.[1]).toBe(theirs)
    expect(JSON.parse(readFileSync(join(folder, 'inside/state'), 'utf8'))).toMatchObject({ id, status: 'created' })
    await containers.delete(id, { isForced: true })
    expect(notes().map(([kind, , status]) => [kind, status]).slice(3)).toEqual([['poststart', 'running'], ['poststop', 'stopped']])
  })

  it.each(['prestart', 'createRuntime', 'createContainer'])('that fail keep the container from being made: %s', async (kind) => {
    const hooks = { [kind]: [hook('echo no >&2; exit 3')] }
    const failure = await create('true', { top: { hooks } }).then(() => undefined, (error: unknown) => error)
    expect(failure).toBeInstanceOf(OciHookFailed)
    expect(failure).toMatchObject({ kind, path: '/bin/sh' })
  })

  it('that fail at the start end the container; later ones are warned of', async () => {
    const { id, output } = await create('echo ran', { top: { hooks: { startContainer: [hook('exit 1')] } } })
    await expect(containers.start(id)).rejects.toThrow(OciHookFailed)
    await until(() => containers.state(id).status === 'stopped')
    expect(output.read()).toBe('')
    warnings.length = 0
    expect((await run('exit 4', { top: { hooks: { poststart: [hook('exit 1')], poststop: [hook('exit 2')] } } })).exitCode).toBe(4)
    expect(warnings).toMatchObject([{ kind: 'poststart' }, { kind: 'poststop' }])
  })

  it('end with their time', async () => {
    const hooks = { createContainer: [hook('sleep 600', { timeout: 1 })] }
    await expect(create('true', { top: { hooks } })).rejects.toThrow(OciHookFailed)
    await expect(create('true', { top: { hooks: { prestart: [hook('sleep 600', { timeout: 1 })] } } })).rejects.toThrow(OciHookFailed)
  })
})

describe('a terminal', () => {
  it('goes to who listens at the console socket', async () => {
    const folder = workspace.makeFolder()
    const socket = join(folder, 'console')
    const receiver = spawn('python3', ['-c', `
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print("ready", flush=True)
c, _ = s.accept()
data, control, _, _ = c.recvmsg(16, socket.CMSG_SPACE(4))
fd = array.array("i", control[0][2][:4])[0]
os.write(fd, b"typed\\n")
text = b""
while b"size" not in text:
    text += os.read(fd, 1000)
sys.stdout.buffer.write(text)
`, socket], { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    receiver.stdout.on('data', (bytes: Buffer) => { text += bytes.toString('utf8') })
    await until(() => text.includes('ready'))
    const id = makeId()
    const bundle = makeBundle({ workspace, rootfs }, 'read line; tty; echo got $line; echo size $(stty size)', { process: { terminal: true, consoleSize: { height: 33, width: 77 } } })
    await containers.create(id, bundle, { fds: [-1, -1, -1], consoleSocket: socket })
    ids.push(id)
    await containers.start(id)
    await until(() => text.includes('size'))
    expect(text.replaceAll('\r', '')).toContain('/dev/pts/0\ngot typed\nsize')
    await until(() => containers.state(id).status === 'stopped')
  })

  it('is refused without a socket for it, as is a socket without a terminal', async () => {
    await expect(create('true', { process: { terminal: true } })).rejects.toMatchObject({ code: 'RUNTIME_INVALID_SPEC', field: 'process.terminal' })
    await expect(containers.create(makeId(), makeBundle({ workspace, rootfs }, 'true'), { fds: [0, 1, 2], consoleSocket: '/none' })).rejects.toMatchObject({ field: 'process.terminal' })
  })
})

describe('the command line', () => {
  const state = workspace.makeFolder()
  const call = (...args: readonly string[]): { readonly status: number | null; readonly stdout: string } => {
    const { status, stdout } = spawnSync(process.execPath, [join(import.meta.dirname, '../../src/main.ts'), 'oci-runtime', '--root', state, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
    return { status, stdout }
  }

  it('runs, and executes beside it what a file describes', () => {
    expect(call('run', '--bundle', makeBundle({ workspace, rootfs }, 'echo whole; exit 3'), 'whole')).toEqual({ status: 3, stdout: 'whole\n' })
    const pidFile = join(workspace.makeFolder(), 'pid')
    expect(call('run', '-d', '--pid-file', pidFile, '--bundle', makeBundle({ workspace, rootfs }, 'exec sleep 600 >/dev/null'), 'web').status).toBe(0)
    const file = join(workspace.makeFolder(), 'process.json')
    writeFileSync(file, JSON.stringify({ user: { uid: 5, gid: 6 }, cwd: '/bin', env: ['PATH=/bin', 'A=b'], args: ['sh', '-c', 'id -u; pwd; echo $A; exit 9'] }))
    expect(call('exec', '--process', file, 'web')).toEqual({ status: 9, stdout: '5\n/bin\nb\n' })
    expect(call('exec', '-u', '7', '--cwd', '/', 'web', 'id', '-u')).toEqual({ status: 0, stdout: '7\n' })
    expect(JSON.parse(call('state', 'web').stdout)).toMatchObject({ pid: Number(readFileSync(pidFile, 'utf8')), status: 'running' })
    expect(call('delete', '-f', 'web').status).toBe(0)
  })
})
