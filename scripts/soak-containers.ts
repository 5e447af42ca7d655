/**
 * npm run soak:containers [-- COUNT]
 * Runs containers one after the other, with limits and a bridge, and fails when descriptors, cgroups, network devices, mounts,
 * processes or memory of this process are not where they were. Needs root.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { findHierarchies } from '../runtime/cgroup/hierarchies.ts'
import { leaseBridgePort } from '../runtime/index.ts'
import { makeSpec, runSpec } from '../test/support/container.ts'
import { Workspace } from '../test/support/workspace.ts'

const count = Number(process.argv[2] ?? '1000')
const warmUp = 50
const settleMs = 2000
const mostGrowthBytes = 32 * 1024 * 1024

/** Ids of our containers and names of their network devices: others may run here at the same time. */
const ours = new Set<string>()
const isOurs = (name: string): boolean => [...ours].some((own) => name.endsWith(own))

interface Held { readonly what: string; readonly entries: readonly string[] }

function look(): Held[] {
  return [
    { what: 'descriptors', entries: readdirSync('/proc/self/fd') },
    { what: 'cgroups', entries: findHierarchies().flatMap(({ ownGroup }) => readdirSync(ownGroup).filter(isOurs)) },
    { what: 'network devices', entries: readdirSync('/sys/class/net').filter(isOurs) },
    { what: 'mounts', entries: readFileSync('/proc/self/mountinfo', 'utf8').split('\n') },
    { what: 'children', entries: readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ') },
  ]
}

async function runMany(workspace: Workspace, layer: string, times: number): Promise<void> {
  const upper = workspace.makeUpper()
  for (let turn = 0; turn < times; turn += 1) {
    using lease = await leaseBridgePort({ isIsolated: true })
    const spec = makeSpec({
      args: ['/bin/true'], rootfs: { kind: 'overlay', lowers: [{ kind: 'directory', path: layer }], upper, xattrs: 'trusted' },
      isolation: { network: { mode: 'bridge', port: lease.port } }, limits: { memoryBytes: 64 << 20, pids: 50, cpus: 1 },
    })
    ours.add(spec.id).add(lease.port.name)
    const { exit } = await runSpec(spec)
    if (exit.exitCode !== 0) throw new Error(`run ${turn} ended with ${exit.exitCode}`)
    execFileSync('rm', ['-rf', `${upper.workdir}/work`])
  }
}

using workspace = new Workspace()
const layer = workspace.makeBusyboxLayer()
await runMany(workspace, layer, warmUp)
await setTimeout(settleMs)
const before = look()
const memoryBefore = process.memoryUsage.rss()
await runMany(workspace, layer, count)
/* The kernel takes a network namespace down a moment after its last process. */
await setTimeout(settleMs)
const after = look()
const grown = process.memoryUsage.rss() - memoryBefore
const differences = before.flatMap(({ what, entries }, index) => after[index]?.entries.length === entries.length ? [] : [`${what}: ${entries.length} before, ${after[index]?.entries.length ?? 0} after`])
if (grown > mostGrowthBytes) differences.push(`memory grew by ${Math.round(grown / 1024 / 1024)} MiB`)
console.log(differences.length === 0 ? `${count} containers left nothing; memory ${Math.round(grown / 1024)} KiB` : differences.join('\n'))
process.exitCode = differences.length === 0 ? 0 : 1
