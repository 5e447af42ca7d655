import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { InvalidSpec, OciContainerExists, OciContainerNotFound, OciContainers, OciContainerStatus, ProgramNotExecuted } from '../../runtime/index.ts'
import type { Config, Fields } from '../support/oci-bundle.ts'
import { capabilities, makeBundle as makeBundleIn } from '../support/oci-bundle.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const rootfs = workspace.makeBusyboxLayer()
const root = workspace.makeFolder()
const warnings: unknown[] = []
const containers = new OciContainers(root, { warn: (error) => warnings.push(error) })
const ids: string[] = []
const makeBundle = (script: string, config: Config = {}): string => makeBundleIn({ workspace, rootfs }, script, config)
afterAll(async () => {
  for (const id of ids) await containers.delete(id, { isForced: true })
  workspace[Symbol.dispose]()
})

interface Created { readonly id: string; readonly pid: number; readonly output: () => string }

async function create(script: string, config: Config = {}): Promise<Created> {
  const id = `oci-${randomBytes(6).toString('hex')}`
  const file = join(workspace.makeFolder(), 'output')
  const fd = openSync(file, 'w+')
  try {
    const pid = await containers.create(id, makeBundle(script, config), { fds: [fd, fd, fd] })
    ids.push(id)
    return { id, pid, output: () => readFileSync(file, 'utf8') }
  } finally {
    closeSync(fd)
  }
}

async function untilStopped(id: string): Promise<void> {
  const deadline = Date.now() + 10_000
  while (containers.state(id).status !== 'stopped') {
    if (Date.now() > deadline) throw new Error(`container ${id} still runs`)
    await setTimeout(5)
  }
}

async function runToEnd(script: string, config: Config = {}): Promise<string[]> {
  const { id, output } = await create(script, config)
  await containers.start(id)
  await untilStopped(id)
  await containers.delete(id, { isForced: false })
  return output().split('\n').slice(0, -1)
}

const groupsOf = (name: string): string[] => readdirSync('/sys/fs/cgroup').map((hierarchy) => join('/sys/fs/cgroup', hierarchy, name)).filter((path) => existsSync(path))

describe('a bundle', () => {
  it('is set up by create, waits, runs by start, and is forgotten by delete', async () => {
    const { id, pid, output } = await create('trap "exit 0" TERM; echo ran; sleep 600 & wait', { top: { annotations: { colour: 'red' } } })
    expect(containers.state(id)).toMatchObject({ ociVersion: '1.0.2', id, status: 'created', pid, annotations: { colour: 'red' } })
    await setTimeout(50)
    expect(output()).toBe('')
    await containers.start(id)
    expect(containers.state(id)).toMatchObject({ status: 'running', pid })
    await expect(containers.start(id)).rejects.toThrow(OciContainerStatus)
    await expect(containers.delete(id, { isForced: false })).rejects.toThrow('it is running')
    // Before the trap is set the first process of a namespace hears nothing of it.
    await expect.poll(output).toBe('ran\n')
    containers.kill(id, 'SIGTERM', { isForAll: false })
    await untilStopped(id)
    expect(containers.state(id).pid).toBeUndefined()
    expect(() => { containers.kill(id, 'SIGTERM', { isForAll: false }) }).toThrow('container not running')
    await containers.delete(id, { isForced: false })
    expect(() => containers.state(id)).toThrow(OciContainerNotFound)
    expect(existsSync(join(root, id))).toBe(false)
  })

  it('has what its config.json says', async () => {
    const lines = await runToEnd('hostname; id -u; id -G; pwd; echo $NAME; ulimit -n; umask; sed -n "s/^CapBnd:.//p;s/^CapEff:.//p;s/^NoNewPrivs:.//p" /proc/self/status; cat /masked | wc -c; touch /bin/x 2>/dev/null || echo sealed; ls /sys/class/net; cat /bound; ls /dev/mine; cat /proc/sys/net/ipv4/ip_forward', {
      process: {
        user: { uid: 0, gid: 5, additionalGids: [7], umask: 0o027 }, cwd: '/tmp/deep', env: ['PATH=/bin', 'NAME=value'], noNewPrivileges: true,
        rlimits: [{ type: 'RLIMIT_NOFILE', soft: 100, hard: 200 }], capabilities: capabilities('CAP_KILL', 'CAP_CHOWN'),
      },
      mounts: [
        { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'size=1m'] },
        { destination: '/bound', type: 'bind', source: boundFile(), options: ['bind', 'ro'] },
        { destination: '/masked', type: 'bind', source: boundFile(), options: ['bind', 'ro'] },
      ],
      linux: { maskedPaths: ['/masked'], sysctl: { 'net.ipv4.ip_forward': '1' }, devices: [{ path: '/dev/mine', type: 'c', major: 1, minor: 3 }] },
    })
    expect(lines).toEqual(['bundled', '0', '5 7', '/tmp/deep', 'value', '100', '0027', '0000000000000021', '0000000000000021', '1', '0', 'sealed', 'lo', 'bound', '/dev/mine', '1'])
  })

  it('is limited in groups of its own, which delete removes', async () => {
    const name = `tsbuild-test-${randomBytes(4).toString('hex')}`
    const { id, output } = await create('cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max; cat /dev/mine || echo refused', {
      linux: { cgroupsPath: `/${name}`, devices: [{ path: '/dev/mine', type: 'c', major: 1, minor: 11 }], resources: { memory: { limit: 64 << 20 }, pids: { limit: 9 }, devices: [{ allow: false, access: 'rwm' }] } },
    })
    expect(groupsOf(name).length).toBeGreaterThan(1)
    await containers.start(id)
    await untilStopped(id)
    expect(output().replace(/^cat:.*\n/mu, '')).toBe(`${64 << 20}\n9\nrefused\n`)
    await containers.delete(id, { isForced: false })
    expect(groupsOf(name)).toEqual([])
  })

  it('that contradicts itself about a system call is taken as libseccomp takes it: the first rule holds', async () => {
    const rule = (action: string): Fields => ({ names: ['mkdir', 'mkdirat'], action, ...(action === 'SCMP_ACT_ERRNO' ? { errnoRet: 28 } : {}) })
    const seccomp = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [rule('SCMP_ACT_ERRNO'), rule('SCMP_ACT_LOG')] }
    expect(await runToEnd('mkdir /x 2>&1', { linux: { seccomp } })).toEqual(['mkdir: can\'t create directory \'/x\': No space left on device'])
  })

  it('can be killed before its start, and while it runs', async () => {
    const waiting = await create('echo never')
    containers.kill(waiting.id, 'SIGKILL', { isForAll: false })
    await untilStopped(waiting.id)
    await expect(containers.start(waiting.id)).rejects.toThrow(OciContainerStatus)
    const running = await create('sleep 600')
    await containers.start(running.id)
    await containers.delete(running.id, { isForced: true })
    expect(readdirSync(root)).not.toContain(running.id)
    expect(waiting.output()).toBe('')
  })

  it.each([['/bin/none'], ['none']])('whose program is not there cannot be created: %s', async (name) => {
    const failure = await create('', { process: { args: [name] } }).then(() => undefined, (error: unknown) => error)
    expect(failure).toBeInstanceOf(ProgramNotExecuted)
    expect(failure).toMatchObject({ notExecuted: { reason: 'not-found', file: name } })
  })

  it('has an id that no other has', async () => {
    const { id } = await create('true')
    await expect(containers.create(id, makeBundle('true'), { fds: [0, 1, 2] })).rejects.toThrow(OciContainerExists)
    expect(containers.state(id).status).toBe('created')
    await expect(containers.create('../up', makeBundle('true'), { fds: [0, 1, 2] })).rejects.toThrow(InvalidSpec)
  })
})

function boundFile(): string {
  const file = join(workspace.makeFolder(), 'bound')
  writeFileSync(file, 'bound\n')
  return file
}

describe('what a bundle asks that cannot be done', () => {
  const namespace = (type: string): Fields => ({ namespaces: [{ type: 'mount' }, { type }] })
  const mount = (fields: Fields): Config => ({ mounts: [{ destination: '/there', type: 'tmpfs', source: 'tmpfs', ...fields }] })
  it.each<readonly [field: string, config: Config]>([
    ['process.terminal', { process: { terminal: true } }],
    ['process.scheduler', { process: { scheduler: { policy: 'SCHED_IDLE' } } }],
    ['process.capabilities.ambient', { process: { capabilities: { ...capabilities(), ambient: ['CAP_KILL'] } } }],
    ['process.capabilities.effective', { process: { capabilities: { ...capabilities(), effective: ['CAP_KILL'] } } }],
    ['process.capabilities.bounding', { process: { capabilities: { bounding: ['CAP_NONE'] } } }],
    ['process.cwd', { process: { cwd: 7 } }],
    ['hooks.poststop[0].path', { top: { hooks: { poststop: [{ path: 'bin/true' }] } } }],
    ['hooks.prestart[0].timeout', { top: { hooks: { prestart: [{ path: '/bin/true', timeout: -1 }] } } }],
    ['ociVersion', { top: { ociVersion: '2.0.0' } }],
    ['linux.uidMappings', { linux: { uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }] } }],
    ['linux.namespaces[1].type', { linux: namespace('user') }],
    ['linux.timeOffsets', { linux: { timeOffsets: { monotonic: { secs: 1 } } } }],
    ['linux.rootfsPropagation', { linux: { rootfsPropagation: 'everywhere' } }],
    ['linux.readonlyPaths', { linux: { readonlyPaths: ['etc'] } }],
    ['linux.intelRdt', { linux: { intelRdt: { closID: 'x' } } }],
    ['linux.seccomp.listenerPath', { linux: { seccomp: { defaultAction: 'SCMP_ACT_ALLOW', listenerPath: '/run/x' } } }],
    ['linux.cgroupsPath', { linux: { cgroupsPath: 'system.slice:engine:id' } }],
    ['linux.cgroupsPath', { linux: { cgroupsPath: '/a/../../b' } }],
    ['linux.resources.blockIO.leafWeight', { linux: { resources: { blockIO: { leafWeight: 100 } } } }],
    ['linux.resources.unified.../up', { linux: { resources: { unified: { '../up': '1' } } } }],
    ['linux.resources.memory.kernel', { linux: { resources: { memory: { kernel: 1 } } } }],
    ['linux.resources.devices[0]', { linux: { resources: { devices: [{ allow: false, type: 'c', major: 1, minor: 3, access: 'r' }] } } }],
    ['linux.devices[0].path', { linux: { devices: [{ path: '/etc/x', type: 'c', major: 1, minor: 3 }] } }],
    ['mounts[5].options', mount({ options: ['rshared'] })],
    ['mounts[5].options', mount({ type: 'bind', source: '/sys', options: ['bind'] })],
    ['mounts[5].type', mount({ type: 'ext4', source: '/dev/none' })],
    ['mounts[5].source', mount({ type: 'bind', source: '/no/such/path' })],
    ['mounts[5].destination', mount({ destination: '/proc/sys' })],
    ['mounts', { top: { mounts: [] } }],
  ])('is refused by its name: %s', async (field, config) => {
    const before = readdirSync(root)
    await expect(containers.create('refused', makeBundle('true', config), { fds: [0, 1, 2] })).rejects.toMatchObject({ code: 'RUNTIME_INVALID_SPEC', field })
    expect(readdirSync(root)).toEqual(before)
  })

  it('leaves nothing when setting up fails', async () => {
    const name = `tsbuild-test-${randomBytes(4).toString('hex')}`
    const before = readdirSync(root)
    const linux = { cgroupsPath: `/${name}`, resources: { pids: { limit: 9 } } }
    await expect(containers.create('broken', makeBundle('true', { linux, mounts: [{ destination: '/there', type: 'tmpfs', source: 'x', options: ['nonsense=1'] }] }), { fds: [0, 1, 2] })).rejects.toMatchObject({ code: 'RUNTIME_CONTAINER_SETUP_FAILED', stage: 'mount', object: '/there' })
    expect(readdirSync(root)).toEqual(before)
    expect(groupsOf(name)).toEqual([])
  })
})

describe('the command line of a runtime', () => {
  const state = workspace.makeFolder()
  const call = (...args: readonly string[]): { readonly status: number | null; readonly output: string } => {
    const file = join(workspace.makeFolder(), 'output')
    const fd = openSync(file, 'w')
    const { status } = spawnSync(process.execPath, [join(import.meta.dirname, '../../src/main.ts'), 'oci-runtime', '--root', state, ...args], { stdio: ['ignore', fd, fd] })
    closeSync(fd)
    return { status, output: readFileSync(file, 'utf8') }
  }

  it('creates, tells, starts, kills and deletes', () => {
    const pidFile = join(workspace.makeFolder(), 'pid')
    expect(call('create', '--bundle', makeBundle('sleep 600'), '--pid-file', pidFile, 'web')).toEqual({ status: 0, output: '' })
    const told = JSON.parse(call('state', 'web').output) as { readonly pid: number; readonly status: string }
    expect(told).toMatchObject({ status: 'created', pid: Number(readFileSync(pidFile, 'utf8')) })
    expect(call('start', 'web').status).toBe(0)
    expect(call('kill', 'web', '9').status).toBe(0)
    expect(call('delete', '--force', 'web').status).toBe(0)
    expect(call('delete', '--force', 'web').status).toBe(0)
    expect(call('delete', 'web').status).not.toBe(0)
  })

  it('refuses by name what it does not do, and logs why', () => {
    const logFile = join(workspace.makeFolder(), 'log')
    expect(call('--systemd-cgroup', 'state', 'web').output).toContain('--systemd-cgroup cannot be used')
    expect(call('create', '--no-pivot', 'web').output).toContain('--no-pivot cannot be used')
    expect(call('pause', 'web').output).toContain('needs one of create, start, run, exec, state, kill, delete, not "pause"')
    expect(call('--log', logFile, '--log-format', 'json', 'start', 'web').status).not.toBe(0)
    expect(JSON.parse(readFileSync(logFile, 'utf8'))).toMatchObject({ level: 'error', msg: 'cannot find container "web": container does not exist' })
  })
})
