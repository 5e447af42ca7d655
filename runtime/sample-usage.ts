import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../core/errors.ts'
import type { ContainerCgroup } from './cgroup/container-cgroup.ts'
import { readCounter } from './cgroup/driver.ts'
import type { UsageSampled } from './container-events.ts'

const firstMs = 200
const intervalMs = 250
/** Long steps are looked at less often, so that no step has more than some thousand samples. */
const samplesPerStep = 400
/** Kernel ticks; USER_HZ is 100 on every Linux that Node runs on. */
const tickMs = 10

/** Tells what a container uses while it runs; a container of less than 200 ms tells nothing. */
export function sampleUsage(cgroup: ContainerCgroup, emit: (event: UsageSampled) => void): { stop(): void } {
  if (cgroup.groups.length === 0) return { stop: () => undefined }
  const startedAt = performance.now()
  let timer: NodeJS.Timeout
  let cpuMs = 0
  const sample = (): void => {
    const now = readNow(cgroup)
    // What an orphan used is counted nowhere once it is reaped.
    cpuMs = Math.max(cpuMs, now.cpuMs)
    emit({ type: 'usage-sampled', atMs: Date.now(), ...now, cpuMs })
    timer = setTimeout(sample, Math.max(intervalMs, (performance.now() - startedAt) / samplesPerStep))
  }
  timer = setTimeout(sample, firstMs)
  return { stop: () => { clearTimeout(timer) } }
}

function readNow({ groups }: ContainerCgroup): Omit<UsageSampled, 'type' | 'atMs'> {
  const memory = groups.flatMap(({ hierarchy, folder }) => readCounter(folder, hierarchy.kind === 'v1' ? 'memory.usage_in_bytes' : 'memory.current') ?? [])
  const pids = readOrEmpty(join(groups[0]?.folder ?? '', 'cgroup.procs')).split('\n').filter((line) => line !== '')
  return { memoryBytes: memory[0], processes: pids.length, cpuMs: pids.reduce((sum, pid) => sum + cpuTicks(pid), 0) * tickMs }
}

/** A process's own time and that of the children it has waited for: over all that live it adds up to what was used so far. */
function cpuTicks(pid: string): number {
  const stat = readOrEmpty(`/proc/${pid}/stat`)
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0)
}

/** What has ended meanwhile has nothing to tell. */
function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH', 'ENODEV')) return ''
    throw error
  }
}
