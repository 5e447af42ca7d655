import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import type { Task } from '../core/task.ts'
import type { HelperProcess } from '../native/index.ts'
import { findSignalName, getAddon, HelperFailure, startHelper } from '../native/index.ts'
import type { ContainerCgroup } from './cgroup/container-cgroup.ts'
import { createContainerCgroup } from './cgroup/container-cgroup.ts'
import type { CgroupUsage } from './cgroup/driver.ts'
import type { ContainerEvent } from './container-events.ts'
import type { ContainerExit, LimitCause, NotExecuted, UsageReport } from './container-exit.ts'
import type { ContainerSpec, Executor } from './container-spec.ts'
import type { ContainerStdio } from './container-stdio.ts'
import { ContainerLost, ContainerSetupFailed, UserNamespaceUnavailable } from './errors.ts'
import type { ContainerReport } from './helper-protocol.ts'
import { decodeReport, defaultPlaces, encodeRequest, nameStage } from './helper-protocol.ts'
import { deviceRules } from './cgroup/device-rules.ts'
import { findDiskShortage, findVictim } from './post-mortem.ts'
import { getHost } from './host-support.ts'
import { keepRoot } from './keep-root.ts'
import type { OutputReader } from './output.ts'
import { readOutput } from './output.ts'
import { createBundle, restrictsDevices } from './oci/bundle.ts'
import { sampleUsage } from './sample-usage.ts'
import type { NetworkAttendant } from './network/user-network.ts'
import { attendNetwork } from './network/user-network.ts'
import { forwarded, forwardSignals } from './signals.ts'
import type { Stop } from './stop.ts'
import { watchForStop } from './stop.ts'
import { validateForChroot } from './rootless/chroot.ts'
import { validateSpec } from './validate-spec.ts'

/**
 * Runs one container to its end. When the promise settles, its processes, mounts and cgroups are gone and the upperdir
 * holds exactly what its process did; the same is true, but for empty cgroups that the next start removes, when this
 * process is killed. An abort ends the container with SIGTERM, then SIGKILL after 0.8 s, and rethrows the reason.
 * @throws {InvalidSpec} {LimitNotApplicable} {ContainerSetupFailed} {ContainerLost}
 */
export async function runContainer(spec: ContainerSpec, stdio: ContainerStdio, task: Task<ContainerEvent>): Promise<ContainerExit> {
  task.signal.throwIfAborted()
  validateSpec(spec)
  const host = getHost()
  if (spec.executor?.kind === 'chroot') validateForChroot(spec, stdio)
  // In a user namespace no node that we or a container make can be opened, so there is nothing to forbid.
  const hasDeviceRules = host.idMaps === undefined && !restrictsDevices(spec.executor)
  const hierarchies = spec.executor?.kind === 'chroot' ? [] : host.hierarchies
  const cgroup = createContainerCgroup({ id: spec.id, limits: spec.limits, devices: hasDeviceRules ? deviceRules(spec) : undefined, hierarchies })
  try {
    using bundle = spec.executor?.kind === 'oci' ? createBundle({ spec, host, hasTerminal: stdio.kind === 'terminal', runtime: spec.executor.runtime }) : undefined
    const places = defaultPlaces(spec, cgroup, host)
    using keeping = keepRoot(spec, places, host)
    const request = encodeRequest({ spec, stdio: wireStdio(stdio), cgroup, host, places, keeping, append: bundle?.appendTo })
    const exit = await attend({ mode: modes[spec.executor?.kind ?? 'helper'], request, keeperFd: keeping.socketFd }, { spec, stdio, cgroup, task })
    keeping.keep()
    const failure = exit.exitCode === 0 ? undefined : bundle?.failure()
    if (failure !== undefined) throw failure
    return exit
  } finally {
    cgroup.remove()
  }
}

/** The helper bridges a terminal to whatever descriptors it has. */
function wireStdio(stdio: ContainerStdio): ContainerStdio['kind'] {
  return stdio.kind === 'events' && stdio.hasTerminal === true ? 'terminal' : stdio.kind
}

const modes: Readonly<Record<Executor['kind'], string>> = { helper: 'run', oci: 'bundle', chroot: 'chroot' }

/** With a network that a program of the host connects as long as it runs. */
async function attend(work: Omit<Work, 'attendant'>, run: Run): Promise<ContainerExit> {
  const { network } = run.spec.isolation
  const attendant = network.mode === 'private' ? attendNetwork(network) : undefined
  const following = follow(start({ ...work, attendant }, run.stdio, run.task.emit), run)
  const end = await following.then((exit) => ({ exit }), (error: unknown) => ({ error }))
  // Why there is no network comes before what that led to.
  await attendant?.end()
  if ('error' in end) throw end.error
  return end.exit
}

interface Started {
  readonly helper: HelperProcess
  readonly outputs: readonly OutputReader[]
  /** Grows while the helper runs. */
  readonly reports: readonly ContainerReport[]
}

interface Work {
  readonly mode: string
  readonly request: Uint8Array
  /** Where the helper sends the mount of the root; never with an attendant. */
  readonly keeperFd: number | undefined
  readonly attendant: NetworkAttendant | undefined
}

function start({ mode, request, keeperFd, attendant }: Work, stdio: ContainerStdio, emit: Task<ContainerEvent>['emit']): Started {
  const reports: ContainerReport[] = []
  const launch = (fds: readonly [number, number, number]): HelperProcess => {
    const helper = startHelper({ mode, request, stdio: fds, fds: [attendant?.fd, keeperFd].filter((fd) => fd !== undefined) }, (bytes) => {
      const report = decodeReport(bytes)
      // Only the helper's own, which comes first: whoever may trace init can have it say what they like.
      const isStart = report.kind === 'started' && !reports.some(({ kind }) => kind === 'started')
      reports.push(report)
      if (!isStart) return
      attendant?.connect(report.pid, () => { helper.kill('SIGKILL') })
      stdio.onStarted?.(report.pid)
    })
    return helper
  }
  if (stdio.kind === 'descriptors') return { helper: launch(stdio.fds), outputs: [], reports }
  if (stdio.kind === 'terminal') return { helper: launch([stdio.input, stdio.output, -1]), outputs: [], reports }
  const stdout = getAddon().pipe(0)
  const stderr = getAddon().pipe(0)
  try {
    const helper = launch([-1, stdout[1], stdio.hasTerminal === true ? -1 : stderr[1]])
    return { helper, outputs: [readOutput(stdout[0], 'stdout', emit), readOutput(stderr[0], 'stderr', emit)], reports }
  } catch (error) {
    closeSync(stdout[0])
    closeSync(stderr[0])
    throw error
  } finally {
    closeSync(stdout[1])
    closeSync(stderr[1])
  }
}

interface Run {
  readonly spec: ContainerSpec
  readonly stdio: ContainerStdio
  readonly cgroup: ContainerCgroup
  readonly task: Task<ContainerEvent>
}

async function follow({ helper, outputs, reports }: Started, { spec, stdio, cgroup, task: { signal, emit } }: Run): Promise<ContainerExit> {
  const startedAt = performance.now()
  const stop = watchForStop(helper, spec.limits.timeoutMs, signal)
  const stopForwarding = forwardSignals(stdio.kind === 'events' ? undefined : stdio.signals, helper)
  const sampler = stdio.kind === 'events' ? sampleUsage(cgroup, emit) : undefined
  const end = await helper.ended.then((exit) => ({ exit }), (failure: unknown) => ({ failure }))
  sampler?.stop()
  stop.release()
  stopForwarding()
  for (const output of outputs) output.finish()
  if (stop.reason === 'abort') throw signal.reason
  if ('failure' in end) throw nameFailure(spec.id, end.failure)
  const usage = { wallMs: performance.now() - startedAt, ...cgroup.readUsage() }
  return describeExit({ spec, stop, reports, usage, helperSignal: end.exit.signal })
}

export function nameFailure(containerId: string, error: unknown): unknown {
  if (!(error instanceof HelperFailure)) return error
  if (nameStage(error.stage) === 'id mapping') return refuseIds(error)
  return new ContainerSetupFailed(containerId, { stage: nameStage(error.stage), errnoName: error.errnoName, object: error.object }, { cause: error })
}

function refuseIds(error: HelperFailure): UserNamespaceUnavailable {
  const reason = error.object.startsWith('/') ? `the filesystem of ${error.object} cannot show its files under other ids (${error.errnoName})` : `${error.object} failed with ${error.errnoName}`
  return new UserNamespaceUnavailable(reason, 'leave --userns out, or use Linux 5.19 or newer with the store on ext4, xfs or btrfs', { cause: error })
}

interface Ending {
  readonly spec: ContainerSpec
  readonly stop: Stop
  readonly reports: readonly ContainerReport[]
  readonly usage: CgroupUsage & { readonly wallMs: number }
  readonly helperSignal: NodeJS.Signals | undefined
}

function describeExit({ spec, stop, reports, usage: read, helperSignal }: Ending): ContainerExit {
  const ended = reports.find((report) => report.kind === 'ended')
  const exited = reports.find((report) => report.kind === 'exited')
  const status = exited?.status ?? endWithoutReport({ stop, reports, helperSignal })
  if (status === undefined) throw new ContainerLost(spec.id, ended === undefined ? helperSignal : findSignalName(ended.status & 0x7f))
  const notExecuted = reports.find((report) => report.kind === 'not-executed')?.notExecuted
  const usage: UsageReport = {
    wallMs: read.wallMs, memoryPeakBytes: read.memoryPeakBytes, memoryCurrentBytes: read.memoryCurrentBytes, oomKills: read.oomKills,
    cpuMs: read.cpuMs ?? ended?.cpuMs, cpuPeriods: read.cpuPeriods, cpuThrottledPeriods: read.cpuThrottledPeriods, cpuThrottledMs: read.cpuThrottledMs,
    pidsPeak: read.pidsPeak, pidsDenied: read.pidsDenied,
    ioReadBytes: read.ioReadBytes ?? ended?.ioReadBytes, ioWriteBytes: read.ioWriteBytes ?? ended?.ioWriteBytes, ioReads: read.ioReads, ioWrites: read.ioWrites,
    pressure: read.pressure,
  }
  const exitCode = findExitCode(status, notExecuted)
  return { exitCode, signal: findSignalName(status & 0x7f), cause: findCause(spec, stop, usage) ?? (exitCode === 0 ? undefined : findDiskShortage(spec.rootfs)), notExecuted, usage }
}

/** A signal for the container's process ends the helper itself as long as that has not come to listen: then there is no more of the container. */
function endWithoutReport({ stop, reports, helperSignal }: Omit<Ending, 'spec' | 'usage'>): number | undefined {
  if (stop.wasKilled) return constants.signals.SIGKILL
  if (helperSignal === undefined || reports.length > 0 || !forwarded.some((signal) => signal === helperSignal)) return undefined
  return constants.signals[helperSignal]
}

export function findExitCode(status: number, notExecuted: NotExecuted | undefined): number {
  if (notExecuted !== undefined) return notExecuted.errnoName === 'ENOENT' ? 127 : 126
  const signalNumber = status & 0x7f
  return signalNumber === 0 ? status >> 8 & 0xff : 128 + signalNumber
}

/** From what the kernel counted, not from the exit code: a shell hides the death of what it started. */
function findCause({ id, limits }: ContainerSpec, stop: Stop, usage: UsageReport): LimitCause | undefined {
  const none = { victim: undefined }
  if (stop.reason === 'timeout' && limits.timeoutMs !== undefined) return { limit: 'timeout', configured: limits.timeoutMs, peak: usage.wallMs, ...none }
  if (limits.memoryBytes !== undefined && (usage.oomKills ?? 0) > 0) return { limit: 'memory', configured: limits.memoryBytes, peak: usage.memoryPeakBytes, victim: findVictim(id) }
  if (limits.pids !== undefined && (usage.pidsDenied ?? 0) > 0) return { limit: 'pids', configured: limits.pids, peak: usage.pidsPeak, ...none }
  return undefined
}
