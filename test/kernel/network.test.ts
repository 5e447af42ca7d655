import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { networkFiles } from '../../builder/container/network-files.ts'
import { unsetConfinement } from '../../builder/container/confinement.ts'
import { NetworkPool, leaseBridgePort, leavesNetworkUnchanged, publishPorts } from '../../runtime/index.ts'
import type { BridgePort } from '../../runtime/index.ts'
import { askByUdp } from '../support/ask-by-udp.ts'
import { blockCall } from '../support/block-call.ts'
import { run, runScript } from '../support/container.ts'
import { findFreePorts } from '../support/free-ports.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'
import { Workspace } from '../support/workspace.ts'

const folder = useTemporaryFolder('network')
const workspace = new Workspace()
const busybox = workspace.makeBusyboxLayer()
const rootfs = () => ({ kind: 'overlay', lowers: [{ kind: 'directory', path: busybox }], upper: workspace.makeUpper(), xattrs: 'trusted' }) as const
afterAll(() => { workspace[Symbol.dispose]() })

const bridged = (port: BridgePort) => ({ isolation: { network: { mode: 'bridge', port } } }) as const

describe('a container on the bridge', () => {
  it('has eth0 with its address, a route and the bridge in reach', async () => {
    using lease = await leaseBridgePort({ isIsolated: true })
    const { port } = lease
    const script = `ip -o -4 addr show eth0 | tr -s " " | cut -d" " -f4; ip route | head -1; ping -c1 -W2 ${port.gateway} > /dev/null && echo reached; ls /sys/class/net; ip -o -6 addr show eth0; cat /sys/class/net/eth0/mtu`
    expect(await runScript(script, { rootfs: rootfs(), ...bridged(port) })).toEqual([
      `${port.address}/${port.prefix}`, `default via ${port.gateway} dev eth0 `, 'reached', 'eth0', 'lo', String(port.mtu),
    ])
  })

  it('downloads from the world by name', async () => {
    using lease = await leaseBridgePort({ isIsolated: true })
    const mounts = networkFiles({ network: { mode: 'bridge', port: lease.port }, hostname: 'box', confinement: unsetConfinement })
    expect(await runScript('wget -q -O - http://deb.debian.org/debian/dists/bookworm/Release | grep ^Codename', { rootfs: rootfs(), mounts, ...bridged(lease.port) })).toEqual(['Codename: bookworm'])
  })

  it('reaches its neighbours unless it is isolated', async () => {
    for (const isIsolated of [false, true]) {
      using one = await leaseBridgePort({ isIsolated })
      using other = await leaseBridgePort({ isIsolated })
      const ended = new AbortController()
      const folder = workspace.makeFolder()
      const mounts = [{ kind: 'bind', source: folder, target: '/shared', readonly: false }] as const
      const listen = `echo hello | nc -l -p 80 & until grep -q ':0050 .* 0A ' /proc/net/tcp /proc/net/tcp6; do sleep 0.05; done; touch /shared/listens; wait`
      const server = run({ args: ['/bin/sh', '-c', listen], rootfs: rootfs(), mounts, ...bridged(one.port) }, ended.signal)
      server.catch(() => undefined)
      await expect.poll(() => readdirSync(folder)).toEqual(['listens'])
      const client = await run({ args: ['/bin/sh', '-c', `nc -w ${isIsolated ? 1 : 20} ${one.port.address} 80 < /dev/null`], rootfs: rootfs(), ...bridged(other.port) })
      expect(client.stdout).toBe(isIsolated ? '' : 'hello\n')
      ended.abort(new Error('enough'))
      await server.catch(() => undefined)
    }
  })

  it('leaves no device behind, also when it is killed', async () => {
    using lease = await leaseBridgePort({ isIsolated: true })
    const controller = new AbortController()
    const killed = run({ args: ['/bin/sleep', '60'], rootfs: rootfs(), ...bridged(lease.port) }, controller.signal)
    await expect.poll(() => readdirSync('/sys/class/net')).toContain(lease.port.name)
    controller.abort(new Error('enough'))
    await expect(killed).rejects.toThrow('enough')
    await expect.poll(() => readdirSync('/sys/class/net')).not.toContain(lease.port.name)
  })

  it('that is not there any more is an error of setting up', async () => {
    using lease = await leaseBridgePort({ isIsolated: true })
    await expect(run({ args: ['/bin/true'], rootfs: rootfs(), ...bridged({ ...lease.port, bridge: 'nosuch0' }) })).rejects.toMatchObject({ code: 'RUNTIME_CONTAINER_SETUP_FAILED', stage: 'network', object: 'nosuch0' })
  })
})

describe('a pool of networks', () => {
  const show = 'readlink /proc/self/ns/net; ip -o -4 addr show eth0 | tr -s " " | cut -d" " -f4; ip route | head -1; ping -c1 -W2 $(ip route | sed -n "s/default via \\([^ ]*\\).*/\\1/p") > /dev/null && echo reached'
  let lent = ''
  const runIn = async (pool: NetworkPool, script: string, mode: 'bridge' | 'none' = 'bridge'): Promise<string[]> => {
    using loan = await pool.borrow(mode)
    lent = loan.network.namespace?.path ?? ''
    const lines = await runScript(script, { rootfs: rootfs(), isolation: { network: loan.network } })
    loan.keep()
    return lines
  }

  /** The kernel lets go of some sockets only after a while. */
  const untilForgotten = async (): Promise<void> => {
    await expect.poll(() => execFileSync('nsenter', [`--net=${lent}`, 'cat', '/proc/net/sockstat'], { encoding: 'utf8' })).toMatch(/^sockets: used 0\nTCP: .* tw 0 /u)
  }

  it('lends one again, as good as new, to one container at a time', async () => {
    using pool = new NetworkPool({ isIsolated: true })
    const first = await runIn(pool, show)
    expect(first).toHaveLength(4)
    expect(first[3]).toBe('reached')
    await untilForgotten()
    expect(await runIn(pool, show)).toEqual(first)
    await untilForgotten()
    const [one, other] = await Promise.all([runIn(pool, show), runIn(pool, show)])
    expect([one, other]).toContainEqual(first)
    expect(one).not.toEqual(other)
  })

  it('lends no network in which connections are left', async () => {
    using pool = new NetworkPool({ isIsolated: true })
    const [first] = await runIn(pool, `readlink /proc/self/ns/net; (nc -l -p 80 < /dev/null &) ; until nc 127.0.0.1 80 < /dev/null; do sleep 0.1; done; grep -q "tw 1" /proc/net/sockstat`)
    expect((await runIn(pool, 'readlink /proc/self/ns/net'))[0]).not.toBe(first)
  })

  it('lends no network again whose container did not come to its end, and leaves no device', async () => {
    const names: string[] = []
    {
      using pool = new NetworkPool({ isIsolated: true })
      for (let turn = 0; turn < 2; turn += 1) {
        using loan = await pool.borrow('bridge')
        names.push(loan.network.mode === 'bridge' ? loan.network.port.name : '')
        await expect(run({ args: ['/bin/true'], rootfs: { ...rootfs(), lowers: [{ kind: 'directory', path: '/nosuch' }] }, isolation: { network: loan.network } })).rejects.toMatchObject({ stage: 'layers' })
      }
      await runIn(pool, 'true')
    }
    expect(new Set(names).size).toBe(2)
    await expect.poll(() => readdirSync('/sys/class/net').filter((name) => names.includes(name))).toEqual([])
  })

  it('lends those that have only loopback apart from those on the bridge', async () => {
    const look = 'readlink /proc/self/ns/net; ls /sys/class/net; ping -c1 -W2 127.0.0.1 > /dev/null && echo reached'
    using pool = new NetworkPool({ isIsolated: true })
    const first = await runIn(pool, look, 'none')
    expect(first.slice(1)).toEqual(['lo', 'reached'])
    await untilForgotten()
    expect((await runIn(pool, look))[1]).toBe('eth0')
    expect(await runIn(pool, look, 'none')).toEqual(first)
  })

  it('says what it lacks where the kernel makes no network', () => {
    const [program = '', ...blocked] = blockCall(folder, 'unshare', 'ENOSPC')
    const child = [process.execPath, join(import.meta.dirname, '../support/no-network-child.ts')]
    expect(JSON.parse(execFileSync(program, [...blocked, ...child], { encoding: 'utf8' }))).toEqual({
      code: 'RUNTIME_NETWORK_UNAVAILABLE',
      message: 'cannot use network "bridge": the kernel makes no network namespace: ENOSPC; user.max_net_namespaces (sysctl) says how many there may be',
    })
  })

  it('is for containers that cannot change their network', () => {
    expect(leavesNetworkUnchanged({})).toBe(true)
    expect(leavesNetworkUnchanged({ capDrop: ['ALL'] })).toBe(true)
    for (const privilege of [{ isPrivileged: true }, { capAdd: ['NET_ADMIN'] }, { systemPaths: 'unconfined' as const }]) expect(leavesNetworkUnchanged(privilege)).toBe(false)
  })
})

describe('published ports', () => {
  it('lead to the container: streams and datagrams, on the address given or on all, version 6 too', async () => {
    using lease = await leaseBridgePort({ isIsolated: true })
    const { network } = bridged(lease.port).isolation
    const first = await findFreePorts(2)
    const all = { address: undefined, containerPort: 80 } as const
    await using _published = await publishPorts([{ ...all, hostPort: first, protocol: 'tcp' }, { address: '127.0.0.2', hostPort: first + 1, containerPort: 80, protocol: 'tcp' }, { ...all, hostPort: first, containerPort: 53, protocol: 'udp' }], network)
    const controller = new AbortController()
    const server = run({ args: ['/bin/sh', '-c', 'mkdir /w; echo hello > /w/index.html; httpd -p 80 -h /w; exec probe answer 53'], rootfs: rootfs(), ...bridged(lease.port) }, controller.signal)
    const fetchPage = async (host: string, port: number): Promise<string> => (await fetch(`http://${host}:${port}/`, { signal: AbortSignal.timeout(5000) })).text()
    await expect.poll(() => fetchPage('127.0.0.1', first)).toBe('hello\n')
    expect(await fetchPage('[::1]', first)).toBe('hello\n')
    expect(await fetchPage('127.0.0.2', first + 1)).toBe('hello\n')
    await expect(fetchPage('127.0.0.1', first + 1)).rejects.toThrow()
    expect([await askByUdp('127.0.0.1', first, 'one'), await askByUdp('::1', first, 'two')]).toEqual(['one', 'two'])
    await expect(publishPorts([{ ...all, hostPort: first, protocol: 'udp' }], network)).rejects.toMatchObject({ code: 'RUNTIME_NETWORK_UNAVAILABLE', reason: expect.stringContaining('EADDRINUSE') as unknown })
    controller.abort(new Error('enough'))
    await expect(server).rejects.toThrow('enough')
  })

  it('are refused without a network to publish from', async () => {
    await expect(publishPorts([{ address: undefined, hostPort: 1, containerPort: 1, protocol: 'tcp' }], { mode: 'host' })).rejects.toMatchObject({ code: 'RUNTIME_NETWORK_UNAVAILABLE', mode: 'host' })
  })
})

describe('the bridge', () => {
  it('gives each address once, stays while one is used, and is removed with its rules', () => {
    const child = `mount -t tmpfs tmpfs /run && exec ${process.execPath} ${join(import.meta.dirname, '../support/bridge-child.ts')}`
    const seen = JSON.parse(execFileSync('unshare', ['-nm', 'sh', '-c', child], { encoding: 'utf8' })) as unknown
    expect(seen).toEqual({
      addresses: ['10.99.7.2', '10.99.7.3', '10.99.7.4', '10.99.7.5', '10.99.7.6'],
      full: 'RUNTIME_NETWORK_UNAVAILABLE',
      other: 'RUNTIME_NETWORK_UNAVAILABLE',
      inUse: {
        links: ['lo', 'tsbuild0'], address: '10.99.7.1/29', removed: false,
        rules: 'table ip tsbuild { chain postrouting { type nat hook postrouting priority srcnat; policy accept; ip saddr 10.99.7.0/29 oifname != "tsbuild0" masquerade } }',
      },
      removed: true,
      after: { links: ['lo'], rules: '' },
      again: false,
    })
  })

  it.each(['10.0.0.0', '10.0.0.0/30', '10.0.0/24', '300.0.0.0/24', '10.0.0.0/7'])('takes no subnet %s', async (subnet) => {
    await expect(leaseBridgePort({ subnet, isIsolated: true })).rejects.toMatchObject({ code: 'RUNTIME_INVALID_SPEC', field: 'network.subnet' })
  })
})

describe('generated files', () => {
  it('never reach the upperdir', async () => {
    const root = rootfs()
    using lease = await leaseBridgePort({ isIsolated: true })
    const network = { mode: 'bridge', port: lease.port } as const
    const confinement = { hosts: [{ name: 'db', address: '10.1.2.3' }, { name: 'up', address: 'host-gateway' }], dns: { servers: ['9.9.9.9'], search: ['example.org'], options: ['ndots:2'] } }
    const lines = await runScript('cat /etc/hosts /etc/hostname /etc/resolv.conf; (echo x > /etc/hosts) 2> /dev/null || echo read-only', { rootfs: root, mounts: networkFiles({ network, hostname: 'box', confinement }), isolation: { network } })
    expect(lines).toEqual(expect.arrayContaining([`${lease.port.address}\tbox`, '10.1.2.3\tdb', `${lease.port.gateway}\tup`, 'box', 'nameserver 9.9.9.9', 'search example.org', 'options ndots:2', 'read-only']))
    expect(lines.filter((line) => line.startsWith('nameserver'))).toHaveLength(1)
    expect(readdirSync(root.upper.upperdir)).toEqual([])
  })
})

describe('namespaces', () => {
  const own = (kind: string): string => execFileSync('readlink', [`/proc/self/ns/${kind}`], { encoding: 'utf8' }).trim()

  it('of the host are shared when asked for', async () => {
    const namespaces = { pid: { kind: 'host' }, ipc: { kind: 'host' }, uts: { kind: 'host' }, cgroup: { kind: 'host' } } as const
    const links = await runScript('for kind in pid ipc uts cgroup; do readlink /proc/self/ns/$kind; done; [ -e /proc/2/comm ] && hostname', { rootfs: rootfs(), isolation: { namespaces } })
    expect(links).toEqual([own('pid'), own('ipc'), own('uts'), own('cgroup'), readFileSync('/proc/sys/kernel/hostname', 'utf8').trim()])
  })

  it('of another container are joined', async () => {
    const marker = String(8_000_000 + process.pid)
    const first = run({ args: ['/bin/sh', '-c', `readlink /proc/self/ns/net; readlink /proc/self/ns/ipc; readlink /proc/self/ns/uts; readlink /proc/self/ns/pid; sleep ${marker}; true`], rootfs: rootfs(), isolation: { network: { mode: 'none' }, hostname: 'first' } })
    const pid = await findProcess(`sleep\0${marker}`)
    const path = (kind: string): { readonly kind: 'joined'; readonly path: string } => ({ kind: 'joined', path: `/proc/${pid}/ns/${kind}` })
    const isolation = { network: { mode: 'joined', path: `/proc/${pid}/ns/net` }, namespaces: { ipc: path('ipc'), uts: path('uts'), pid: path('pid') } } as const
    const joined = await runScript('for kind in net ipc uts pid; do readlink /proc/self/ns/$kind; done; hostname; cat /proc/1/comm', { rootfs: rootfs(), isolation })
    process.kill(Number(pid))
    expect(joined).toEqual([...(await first).stdout.trim().split('\n'), 'first', 'tsbuild-helper'])
  })

  it('of the pid kind shared, still nothing outlives the container', async () => {
    const marker = String(9_000_000 + process.pid)
    await run({ args: ['/bin/sh', '-c', `(setsid sleep ${marker} &) ; (trap "" TERM; sleep ${marker} & sleep ${marker}) & sleep 0.1`], rootfs: rootfs(), isolation: { namespaces: { pid: { kind: 'host' } } } })
    expect(readdirSync('/proc').filter((pid) => /^\d+$/u.test(pid) && commandOf(pid).includes(marker))).toEqual([])
  })

  it('of time move the clocks that only tell durations', async () => {
    const [before = '', shifted = ''] = [await runScript('cut -d. -f1 /proc/uptime', { rootfs: rootfs() }), await runScript('cut -d. -f1 /proc/uptime', { rootfs: rootfs(), isolation: { clockOffsets: { boottime: 86_400, monotonic: 3600 } } })].map(([line]) => line)
    expect(Number(shifted) - Number(before)).toBeGreaterThanOrEqual(86_400)
    expect(Number(shifted) - Number(before)).toBeLessThan(86_460)
  })
})

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error) return ''
    throw error
  }
}

async function findProcess(command: string): Promise<string> {
  let found: string | undefined
  await expect.poll(() => { found = readdirSync('/proc').find((pid) => /^\d+$/u.test(pid) && commandOf(pid) === `${command}\0`); return found }).toBeDefined()
  return found ?? ''
}
