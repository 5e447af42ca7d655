import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { findHierarchies } from '../../runtime/cgroup/hierarchies.ts'
import type { ContainerSpec } from '../../runtime/index.ts'
import { removeStaleCgroups } from '../../runtime/index.ts'
import { makeSpec, runSpec } from '../support/container.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const busybox = workspace.makeBusyboxLayer()
const child = join(import.meta.dirname, '../support/run-container-child.ts')
afterAll(() => { workspace[Symbol.dispose]() })

function makeSleeper(server: { readonly program?: string } = {}): ContainerSpec {
  return makeSpec({
    args: ['/bin/sh', '-c', 'sleep 1000 & (setsid sleep 1000 &); echo started; sleep 1000'],
    rootfs: { kind: 'overlay', lowers: [{ kind: 'directory', path: busybox }], upper: workspace.makeUpper(), xattrs: 'trusted', ...server },
    isolation: { network: { mode: 'none' } },
    mounts: [{ kind: 'bind', source: workspace.makeFolder(), target: '/bound', readonly: false }],
    limits: { memoryBytes: 64 << 20, pids: 20 },
  })
}

const started: ChildProcess[] = []
afterEach(() => { for (const node of started.splice(0)) node.kill('SIGKILL') })

function start(spec: ContainerSpec): ChildProcess {
  const node = spawn(process.execPath, [child, JSON.stringify(spec)], { stdio: ['ignore', 'pipe', 'pipe'] })
  started.push(node)
  return node
}

/** The process and all below it, by the kernel's own lists. */
function familyOf(pid: number): number[] {
  const tasks = `/proc/${pid}/task`
  if (!existsSync(tasks)) return []
  const children = readdirSync(tasks).flatMap((task) => readIfThere(join(tasks, task, 'children')).split(' ').filter((word) => word !== '').map(Number))
  return [pid, ...children.flatMap(familyOf)]
}

/** EINVAL is what the mountinfo of a process that is just ending gives. */
const goneCodes = ['ENOENT', 'ESRCH', 'EINVAL']

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && typeof error.code === 'string' && goneCodes.includes(error.code)) return ''
    throw error
  }
}

async function startSleeper(spec: ContainerSpec = makeSleeper()): Promise<{ readonly spec: ContainerSpec; readonly node: ChildProcess; readonly family: readonly number[] }> {
  const node = start(spec)
  if (node.stdout === null || node.pid === undefined) throw new Error('not started')
  await once(node.stdout, 'data')
  const family = familyOf(node.pid)
  expect(family.length).toBeGreaterThanOrEqual(6)
  return { spec, node, family }
}

/** When the first process of the system asks for the end of an orphan is not up to us: until then it is a zombie. */
async function untilGone(pids: readonly number[]): Promise<void> {
  await expect.poll(() => pids.map((pid) => readIfThere(`/proc/${pid}/status`)).filter((status) => status !== '' && !status.includes('\nState:\tZ'))).toEqual([])
}

function groupsOf(id: string): string[] {
  return findHierarchies().flatMap((hierarchy) => readdirSync(hierarchy.ownGroup).filter((name) => name.includes(id)).map((name) => join(hierarchy.ownGroup, name)))
}

function mountsNaming(text: string): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/u.test(name)).flatMap((pid) => readIfThere(`/proc/${pid}/mountinfo`).split('\n').filter((line) => line.includes(text)))
}

describe('a container whose tsbuild is killed', () => {
  it('is gone with all its processes, mounts and cgroups', async () => {
    const { spec, node, family } = await startSleeper()
    expect(mountsNaming(workspace.folder).length).toBeGreaterThan(0)
    expect(groupsOf(spec.id)).not.toEqual([])
    node.kill('SIGKILL')
    await once(node, 'close')
    await untilGone(family)
    expect(mountsNaming(workspace.folder)).toEqual([])
    expect(groupsOf(spec.id)).toEqual([])
  })

  it('is gone with the program that serves its files', async () => {
    const { node, family } = await startSleeper(makeSleeper({ program: '/usr/bin/fuse-overlayfs' }))
    expect(family.filter((pid) => readIfThere(`/proc/${pid}/comm`) === 'fuse-overlayfs\n')).toHaveLength(1)
    node.kill('SIGKILL')
    await once(node, 'close')
    await untilGone(family)
    expect(mountsNaming(workspace.folder)).toEqual([])
  })

  it('together with its helper leaves empty cgroups, which go at the next start', async () => {
    const { spec, node, family } = await startSleeper()
    const [, helper = 0] = family
    const groups = groupsOf(spec.id)
    node.kill('SIGSTOP')
    process.kill(helper, 'SIGKILL')
    node.kill('SIGKILL')
    await once(node, 'close')
    await untilGone(family)
    // Any other container that starts meanwhile may have removed them already.
    for (const group of groups) expect(readIfThere(join(group, 'cgroup.procs'))).toBe('')
    const next = start({ ...spec, id: `${spec.id}-next`, process: { ...spec.process, args: ['/bin/true'] }, rootfs: { kind: 'overlay', lowers: [{ kind: 'directory', path: busybox }], upper: workspace.makeUpper(), xattrs: 'trusted' } })
    expect(await once(next, 'exit')).toEqual([0, null])
    expect(groupsOf(spec.id)).toEqual([])
  })

  it('leaves no process at whatever moment of its start', async () => {
    const left: number[] = []
    const ids: string[] = []
    for (let delayMs = 0; delayMs < 40; delayMs += 2) {
      const spec = makeSleeper()
      ids.push(spec.id)
      const node = start(spec)
      if (node.pid === undefined) throw new Error('not started')
      /* Its start takes some 150 ms until the helper runs; from then on the moments are close together. */
      for (let tries = 0; tries < 1000 && familyOf(node.pid).length < 2; tries++) await setTimeout(1)
      await setTimeout(delayMs / 10)
      left.push(...familyOf(node.pid))
      node.kill('SIGKILL')
      await once(node, 'close')
    }
    await untilGone(left)
    // Whoever began between the look and the kill may still be ending.
    await expect.poll(() => mountsNaming(workspace.folder)).toEqual([])
    await expect.poll(() => {
      removeStaleCgroups()
      return ids.flatMap(groupsOf)
    }).toEqual([])
  }, 180_000)
})

describe('a container whose init is killed from outside', () => {
  it('is reported as lost', async () => {
    const spec = makeSleeper()
    const node = start(spec)
    if (node.stdout === null || node.stderr === null || node.pid === undefined) throw new Error('not started')
    await once(node.stdout, 'data')
    const [, helper = 0, init = 0] = familyOf(node.pid)
    expect(readIfThere(`/proc/${init}/status`)).toContain(`PPid:\t${helper}`)
    let stderr = ''
    node.stderr.on('data', (bytes: Buffer) => { stderr += bytes.toString() })
    process.kill(init, 'SIGKILL')
    expect(await once(node, 'close')).toEqual([1, null])
    expect(stderr).toContain('RUNTIME_CONTAINER_LOST')
    expect(stderr).toContain('SIGKILL')
    expect(groupsOf(spec.id)).toEqual([])
  })
})

describe('a container whose helper is killed from outside', () => {
  it('is reported as lost, and gone', async () => {
    const spec = makeSleeper()
    const node = start(spec)
    if (node.stdout === null || node.stderr === null || node.pid === undefined) throw new Error('not started')
    await once(node.stdout, 'data')
    const [, helper = 0, ...inside] = familyOf(node.pid)
    let stderr = ''
    node.stderr.on('data', (bytes: Buffer) => { stderr += bytes.toString() })
    process.kill(helper, 'SIGKILL')
    expect(await once(node, 'close')).toEqual([1, null])
    expect(stderr).toContain('RUNTIME_CONTAINER_LOST')
    expect(stderr).toContain('SIGKILL')
    await untilGone(inside)
    removeStaleCgroups()
    expect(groupsOf(spec.id)).toEqual([])
  })
})

describe('a process that ran many containers', () => {
  it('has the descriptors and cgroups it had before', async () => {
    const countDescriptors = (): number => readdirSync('/proc/self/fd').length
    const runTrue = async (): Promise<string> => {
      const spec = makeSpec({ args: ['/bin/true'], rootfs: { kind: 'overlay', lowers: [{ kind: 'directory', path: busybox }], upper: workspace.makeUpper(), xattrs: 'trusted' } })
      await runSpec(spec)
      return spec.id
    }
    for (let warm = 0; warm < 5; warm++) await runTrue()
    const before = countDescriptors()
    const ids: string[] = []
    for (let turn = 0; turn < 100; turn++) ids.push(await runTrue())
    expect(countDescriptors()).toBe(before)
    expect(ids.flatMap(groupsOf)).toEqual([])
  })
})
