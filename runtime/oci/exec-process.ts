import { startHelper } from '../../native/index.ts'
import type { Privilege, ProcessSpec } from '../container-spec.ts'
import type { SignalSource } from '../container-stdio.ts'
import { ContainerLost } from '../errors.ts'
import type { Console, ContainerReport } from '../helper-protocol.ts'
import { decodeReport, encodeExec } from '../helper-protocol.ts'
import { getHost } from '../host-support.ts'
import { findExitCode, nameFailure } from '../run-container.ts'
import { forwardSignals } from '../signals.ts'
import type { KeptState } from './container-state.ts'
import { ProgramNotExecuted } from './errors.ts'

export interface OciExec {
  readonly process: ProcessSpec
  readonly privilege: Privilege
  readonly hasTerminal: boolean
  readonly fds: readonly [number, number, number]
}

/** One more process, to its end. Returns its exit code. @throws {ProgramNotExecuted} {ContainerSetupFailed} */
export async function execProcess(kept: KeptState, exec: OciExec, signals: SignalSource): Promise<number> {
  const { helper, reports } = start(kept, exec, undefined)
  const stopForwarding = forwardSignals(signals, helper)
  try {
    const { signal } = await helper.ended
    refuseNotExecuted(kept, reports)
    const ended = reports.find((report) => report.kind === 'ended')
    if (ended === undefined) throw new ContainerLost(kept.id, signal)
    return findExitCode(ended.status, undefined)
  } catch (error) {
    throw nameFailure(kept.id, error)
  } finally {
    stopForwarding()
  }
}

/** The same, left to whoever reaps for our caller once it executes. Returns its pid. @throws {ProgramNotExecuted} {ContainerSetupFailed} */
export async function execDetached(kept: KeptState, exec: OciExec, console: Console): Promise<number> {
  const { helper, reports } = start(kept, exec, console)
  try {
    const { signal } = await helper.ended
    refuseNotExecuted(kept, reports)
    const started = reports.find((report) => report.kind === 'started')
    if (started === undefined) throw new ContainerLost(kept.id, signal)
    return started.pid
  } catch (error) {
    throw nameFailure(kept.id, error)
  }
}

function start(kept: KeptState, { process, privilege, hasTerminal, fds }: OciExec, detached: Console | undefined): { readonly helper: ReturnType<typeof startHelper>; readonly reports: readonly ContainerReport[] } {
  const reports: ContainerReport[] = []
  const request = encodeExec({ pid: kept.pid, groups: kept.groups, spec: { process, privilege }, stdio: hasTerminal ? 'terminal' : 'descriptors', host: getHost(), detached })
  const stdio = hasTerminal ? [fds[0], fds[1], -1] as const : fds
  return { helper: startHelper({ mode: 'exec', request, stdio }, (bytes) => reports.push(decodeReport(bytes))), reports }
}

function refuseNotExecuted(kept: KeptState, reports: readonly ContainerReport[]): void {
  const notExecuted = reports.find((report) => report.kind === 'not-executed')?.notExecuted
  if (notExecuted !== undefined) throw new ProgramNotExecuted(kept.id, notExecuted)
}
