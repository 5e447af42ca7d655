import { posix } from 'node:path'
import { findNearest } from '../../core/nearest.ts'
import { formatPlatform } from '../../oci/platform.ts'
import { DockerfileError } from '../dockerfile/errors.ts'
import type { DockerfileSource, Heredoc, RunInstruction, WorkdirInstruction } from '../dockerfile/instruction.ts'
import { parseRunDevice } from '../dockerfile/values/run-device.ts'
import { commandArgs, shellOf } from './command-args.ts'
import type { PlanNode, PlannedMount, RunNode } from './plan.ts'
import type { StageState } from './stage-state.ts'

/** A step and how history shows it. */
export interface LoweredStep {
  readonly node: PlanNode
  readonly createdBy: string
}

/** Where a here-document with an interpreter line is put for the one step that runs it. */
const scriptFolder = '/dev/pipes'

export function lowerRun(state: StageState, { instruction, mounts }: { instruction: RunInstruction; mounts: readonly PlannedMount[] }, source: DockerfileSource): LoweredStep {
  const { args, script } = runCommand(instruction, state)
  const node: RunNode = {
    kind: 'run',
    base: state.rootfs,
    args,
    env: [...state.scope.variables].map(([name, value]) => `${name}=${value}`),
    cwd: posix.resolve('/', state.config.WorkingDir ?? '/'),
    user: state.config.User ?? '',
    script,
    network: runNetwork(instruction, source),
    isInsecure: isInsecure(instruction, source),
    platform: formatPlatform(state.platform),
    mounts,
    devices: instruction.devices.map(({ text, range }) => parseRunDevice(text, { source, range })),
  }
  const buildArgs = state.scope.historyArgs().map(([name, value]) => `${name}=${value}`)
  const shownArgs = buildArgs.length === 0 ? '' : `|${buildArgs.length} ${buildArgs.join(' ')} `
  return { node, createdBy: `RUN ${shownArgs}${args.join(' ')}` }
}

/** A body alone on its line is a script: for the interpreter it names, or for the shell. */
function runCommand({ command }: RunInstruction, state: StageState): Pick<RunNode, 'args' | 'script'> {
  const body = command.form === 'shell' ? loneHeredoc(command.line, command.heredocs) : undefined
  if (body === undefined) return { args: commandArgs(command, state.config), script: undefined }
  if (!body.content.startsWith('#!')) return { args: [...shellOf(state.config), body.content], script: undefined }
  const path = posix.join(scriptFolder, posix.basename(body.name))
  return { args: [...shellOf(state.config), path], script: { path, content: body.content } }
}

function loneHeredoc(line: string, heredocs: readonly Heredoc[]): Heredoc | undefined {
  return heredocs.length === 1 && /^\d*<<-?\s*\S+$/u.test(line.trim()) ? heredocs[0] : undefined
}

function runNetwork({ network }: RunInstruction, source: DockerfileSource): RunNode['network'] {
  const mode = network?.text ?? 'default'
  if (mode === 'default' || mode === 'none' || mode === 'host') return mode
  throw new DockerfileError({ source, range: network?.range ?? { startLine: 1, startColumn: 0, endLine: 1, endColumn: 0 } }, { rule: 'flag', problem: `RUN --network=${mode} is no network`, remedy: 'write default, none or host' })
}

function isInsecure({ security }: RunInstruction, source: DockerfileSource): boolean {
  if (security === undefined || security.text === 'sandbox' || security.text === 'insecure') return security?.text === 'insecure'
  throw new DockerfileError({ source, range: security.range }, { rule: 'flag', problem: `RUN --security=${security.text} is no kind of security`, remedy: 'write sandbox or insecure', suggestion: findNearest(security.text, ['sandbox', 'insecure']) })
}

/** @returns also the next working directory: an absolute one as it is written, which BuildKit does not clean */
export function lowerWorkdir(state: StageState, { path }: WorkdirInstruction): LoweredStep & { readonly path: string } {
  const absolute = posix.resolve('/', state.config.WorkingDir ?? '/', path.text)
  const shown = path.text.startsWith('/') ? path.text : absolute
  return {
    path: shown,
    node: { kind: 'mkdir', base: state.rootfs, path: absolute, user: state.config.User ?? '' },
    createdBy: `WORKDIR ${shown}`,
  }
}
