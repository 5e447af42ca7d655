import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { findSignalName, startHelper } from '../native/index.ts'
import { groupPrefix } from './cgroup/container-cgroup.ts'
import { parseHierarchies } from './cgroup/hierarchies.ts'
import type { ContainerExit } from './container-exit.ts'
import type { Privilege, ProcessSpec } from './container-spec.ts'
import type { ContainerStdio } from './container-stdio.ts'
import { ContainerLost } from './errors.ts'
import type { ContainerReport } from './helper-protocol.ts'
import { decodeReport, encodeExec } from './helper-protocol.ts'
import { getHost } from './host-support.ts'
import { findExitCode, nameFailure } from './run-container.ts'
import { forwardSignals } from './signals.ts'

export interface ExecSpec {
  readonly containerId: string
  /** Of the container's init, as we see it; the caller knows that it lives. */
  readonly initPid: number
  readonly process: ProcessSpec
  readonly privilege: Privilege
}

/**
 * Runs one more process in a container that runs: in all its namespaces and cgroups, with its privileges. It ends with the
 * container at the latest, and with us.
 * @throws {InvalidSpec} {ContainerSetupFailed} {ContainerLost}
 */
export async function execInContainer(spec: ExecSpec, stdio: Exclude<ContainerStdio, { kind: 'events' }>): Promise<Pick<ContainerExit, 'exitCode' | 'signal' | 'notExecuted'>> {
  const reports: ContainerReport[] = []
  // Not init: it is in none of the container's groups, and in its first cgroup and time namespaces.
  const main = findMainProcess(spec.initPid)
  if (main === undefined) throw new ContainerLost(spec.containerId, undefined)
  const request = encodeExec({ pid: main, groups: findGroups(main), spec, stdio: stdio.kind, host: getHost() })
  const fds = stdio.kind === 'terminal' ? [stdio.input, stdio.output, -1] as const : stdio.fds
  const helper = startHelper({ mode: 'exec', request, stdio: fds }, (report) => reports.push(decodeReport(report)))
  const stopForwarding = forwardSignals(stdio.signals, helper)
  try {
    const { signal } = await helper.ended
    const ended = reports.find((report) => report.kind === 'ended')
    if (ended === undefined) throw new ContainerLost(spec.containerId, signal)
    const notExecuted = reports.find((report) => report.kind === 'not-executed')?.notExecuted
    return { exitCode: findExitCode(ended.status, notExecuted), signal: findSignalName(ended.status & 0x7f), notExecuted }
  } catch (error) {
    throw nameFailure(spec.containerId, error)
  } finally {
    stopForwarding()
  }
}

function findGroups(main: number): { readonly folder: string; readonly isV2: boolean }[] {
  return parseHierarchies(readFileSync('/proc/self/mountinfo', 'utf8'), readFileSync(`/proc/${main}/cgroup`, 'utf8'))
    .filter(({ ownGroup }) => basename(ownGroup).startsWith(groupPrefix))
    .map(({ ownGroup, kind }) => ({ folder: ownGroup, isV2: kind === 'v2' }))
}

/** The container's own process, as we see it: the oldest child of its init. */
export function findMainProcess(initPid: number): number | undefined {
  const [first = ''] = readFileSync(`/proc/${initPid}/task/${initPid}/children`, 'utf8').split(' ')
  return first === '' ? undefined : Number(first)
}
