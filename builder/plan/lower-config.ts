import type { Healthcheck, RunConfig } from '../../oci/image-config.ts'
import type { DockerfileSource, HealthcheckInstruction, KeyValue, StageInstruction } from '../dockerfile/instruction.ts'
import { parsePorts } from '../dockerfile/values/ports.ts'
import { parseStopSignal } from '../dockerfile/values/signal.ts'
import { commandArgs } from './command-args.ts'
import { goDuration, goQuotedRune } from './go-format.ts'
import type { StageState } from './stage-state.ts'
import { noteConfig } from './stage-state.ts'

export type ConfigInstruction = Exclude<StageInstruction, { kind: 'RUN' | 'COPY' | 'ADD' | 'WORKDIR' | 'ARG' }>

/** What an instruction that makes no layer turns the stage into; its variables are expanded already. */
export function lowerConfig(state: StageState, instruction: ConfigInstruction, source: DockerfileSource): StageState {
  const { config, author, hasOwnCmd, createdBy } = { author: state.author, hasOwnCmd: state.hasOwnCmd, ...foldConfig(state, instruction, source) }
  // A trigger is no part of the history until it fires.
  if (instruction.kind === 'ONBUILD') return { ...state, config }
  noteConfig(state, createdBy)
  return { ...state, config, author, hasOwnCmd }
}

interface Folded {
  readonly config: RunConfig
  readonly createdBy: string
  readonly author?: string
  readonly hasOwnCmd?: boolean
}

function foldConfig(state: StageState, instruction: ConfigInstruction, source: DockerfileSource): Folded {
  const { config } = state
  switch (instruction.kind) {
    case 'ENV': return foldEnv(state, instruction.pairs)
    case 'LABEL': return { config: { ...config, Labels: { ...config.Labels, ...Object.fromEntries(pairsOf(instruction.pairs)) } }, createdBy: `LABEL ${showPairs(instruction.pairs)}` }
    case 'CMD': return foldCmd(config, commandArgs(instruction.command, config))
    case 'ENTRYPOINT': return foldEntrypoint(state, commandArgs(instruction.command, config))
    case 'USER': return { config: { ...config, User: instruction.user.text }, createdBy: `USER ${instruction.user.text}` }
    case 'VOLUME': {
      const paths = instruction.paths.map(({ text }) => text)
      return { config: { ...config, Volumes: { ...config.Volumes, ...keys(paths) } }, createdBy: `VOLUME [${paths.join(' ')}]` }
    }
    case 'EXPOSE': {
      const ports = parsePorts(instruction.ports, source)
      return { config: { ...config, ExposedPorts: { ...config.ExposedPorts, ...keys(ports) } }, createdBy: `EXPOSE map[${[...new Set(ports)].sort().map((port) => `${port}:{}`).join(' ')}]` }
    }
    case 'SHELL': return { config: { ...config, Shell: instruction.args }, createdBy: `SHELL [${instruction.args.join(' ')}]` }
    case 'STOPSIGNAL': {
      const signal = parseStopSignal(instruction.signal.text, { source, range: instruction.signal.range })
      return { config: { ...config, StopSignal: signal }, createdBy: `STOPSIGNAL ${signal}` }
    }
    case 'HEALTHCHECK': {
      const check = healthcheck(instruction, config)
      return { config: { ...config, Healthcheck: check }, createdBy: `HEALTHCHECK ${showHealthcheck(check)}` }
    }
    case 'MAINTAINER': return { config, author: instruction.author.text, createdBy: `MAINTAINER ${instruction.author.text}` }
    case 'ONBUILD': return { config: { ...config, OnBuild: [...config.OnBuild ?? [], instruction.trigger] }, createdBy: `ONBUILD ${instruction.trigger}` }
  }
}

/** A name set again keeps its place in the list. */
export function putEnv(env: readonly string[], name: string, value: string): string[] {
  const entry = `${name}=${value}`
  const at = env.findIndex((known) => known.startsWith(`${name}=`))
  return at === -1 ? [...env, entry] : env.with(at, entry)
}

function foldEnv({ config, scope }: StageState, pairs: readonly KeyValue[]): Folded {
  let env: readonly string[] = config.Env ?? []
  for (const [name, value] of pairsOf(pairs)) {
    env = putEnv(env, name, value)
    scope.setEnv(name, value)
  }
  return { config: { ...config, Env: env }, createdBy: `ENV ${showPairs(pairs)}` }
}

/** Docker marks arguments that need no further escaping, on every platform. */
function foldCmd(config: RunConfig, args: readonly string[]): Folded {
  return { config: { ...config, Cmd: args, ArgsEscaped: true }, hasOwnCmd: true, createdBy: `CMD ${showArgs(args)}` }
}

/** An entrypoint makes the inherited command meaningless, unless this stage set one itself. */
function foldEntrypoint({ config, hasOwnCmd }: StageState, args: readonly string[]): Folded {
  const { Cmd: cmd, ...rest } = config
  return { config: { ...rest, ...(hasOwnCmd && cmd !== undefined ? { Cmd: cmd } : {}), Entrypoint: args }, createdBy: `ENTRYPOINT ${showArgs(args)}` }
}

function healthcheck(instruction: HealthcheckInstruction, config: RunConfig): Healthcheck {
  const { command, intervalNs, timeoutNs, startPeriodNs, startIntervalNs, retries } = instruction
  if (command === undefined) return { Test: ['NONE'] }
  return {
    Test: command.form === 'exec' ? ['CMD', ...commandArgs(command, config)] : ['CMD-SHELL', command.line],
    // Zero means the default, and Docker leaves it out.
    ...(intervalNs ? { Interval: intervalNs } : {}),
    ...(timeoutNs ? { Timeout: timeoutNs } : {}),
    ...(startPeriodNs ? { StartPeriod: startPeriodNs } : {}),
    ...(startIntervalNs ? { StartInterval: startIntervalNs } : {}),
    ...(retries ? { Retries: retries } : {}),
  }
}

function showHealthcheck({ Test: test, Interval: interval = 0, Timeout: timeout = 0, StartPeriod: startPeriod = 0, StartInterval: startInterval = 0, Retries: retries = 0 }: Healthcheck): string {
  const durations = [interval, timeout, startPeriod, startInterval].map((duration) => `"${goDuration(duration)}"`)
  return `&{${showArgs(test)} ${durations.join(' ')} ${goQuotedRune(retries)}}`
}

function pairsOf(pairs: readonly KeyValue[]): [name: string, value: string][] {
  return pairs.map(({ name, value }) => [name.text, value.text])
}

function showPairs(pairs: readonly KeyValue[]): string {
  return pairsOf(pairs).map(([name, value]) => `${name}=${value}`).join(' ')
}

function showArgs(args: readonly string[]): string {
  return `[${args.map((arg) => JSON.stringify(arg)).join(' ')}]`
}

function keys(names: readonly string[]): Record<string, object> {
  return Object.fromEntries(names.map((name) => [name, {}]))
}
