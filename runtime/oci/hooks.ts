import { spawnSync } from 'node:child_process'
import { closeSync, writeSync } from 'node:fs'
import { getAddon, startHelper } from '../../native/index.ts'
import type { Privilege } from '../container-spec.ts'
import { InvalidSpec } from '../errors.ts'
import type { ContainerReport } from '../helper-protocol.ts'
import { decodeReport, encodeExec } from '../helper-protocol.ts'
import { getHost } from '../host-support.ts'
import { findExitCode } from '../run-container.ts'
import type { ConfigNode } from './config-node.ts'
import { OciHookFailed } from './errors.ts'

/** In the order in which they are called in a container's life. @see runtime-spec config.md "POSIX-platform Hooks" */
export const hookKinds = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'] as const
export type HookKind = (typeof hookKinds)[number]

export interface Hook {
  readonly kind: HookKind
  readonly path: string
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly timeoutMs: number | undefined
}

/** @throws {InvalidSpec} */
export function readHooks(node: ConfigNode): readonly Hook[] {
  return hookKinds.flatMap((kind) => node.children(kind).map((hook) => {
    const path = hook.needText('path')
    if (!path.startsWith('/')) throw new InvalidSpec(`${hook.field}.path`, path, 'an absolute path')
    const timeout = hook.number('timeout')
    if (timeout !== undefined && timeout <= 0) throw new InvalidSpec(`${hook.field}.timeout`, timeout, 'seconds above 0')
    return { kind, path, args: hook.texts('args'), env: hook.texts('env'), timeoutMs: timeout === undefined ? undefined : timeout * 1000 }
  }))
}

/** Runs a hook where we are, with the container's state on its standard input. @throws {OciHookFailed} */
export function runHook(hook: Hook, state: object): void {
  const { status, signal, error, stderr } = spawnSync(hook.path, hook.args.slice(1), {
    argv0: hook.args[0] ?? hook.path,
    env: Object.fromEntries(hook.env.map((variable) => [variable.slice(0, variable.indexOf('=')), variable.slice(variable.indexOf('=') + 1)])),
    input: JSON.stringify(state), killSignal: 'SIGKILL', encoding: 'utf8', ...(hook.timeoutMs === undefined ? {} : { timeout: hook.timeoutMs }),
  })
  if (error !== undefined && status === null && signal === null) throw new OciHookFailed(hook, error.message, { cause: error })
  if (status !== 0) throw new OciHookFailed(hook, [status === null ? `ended by ${signal ?? 'a signal'}` : `exit code ${status}`, stderr.trim()].filter((part) => part !== '').join(': '))
}

export interface HookPlace {
  /** Of a process whose namespaces it is to run in, as we see it. */
  readonly pid: number
  readonly privilege: Privilege
}

/** The same in the namespaces of a container. Its name is its path there. @throws {OciHookFailed} {ContainerSetupFailed} */
export async function runHookInside(hook: Hook, state: object, { pid, privilege }: HookPlace): Promise<void> {
  const reports: ContainerReport[] = []
  const process = { args: [hook.path, ...hook.args.slice(1)], env: hook.env, cwd: '/', user: { uid: 0, gid: 0, groups: [] } }
  const request = encodeExec({ pid, groups: [], spec: { process, privilege }, stdio: 'descriptors', host: getHost() })
  const [input, output] = getAddon().pipe(0)
  try {
    writeSync(output, JSON.stringify(state))
    closeSync(output)
    const helper = startHelper({ mode: 'exec', request, stdio: [input, -1, 2] }, (bytes) => reports.push(decodeReport(bytes)))
    const timer = hook.timeoutMs === undefined ? undefined : setTimeout(() => { helper.kill('SIGALRM') }, hook.timeoutMs)
    await helper.ended
    clearTimeout(timer)
  } finally {
    closeSync(input)
  }
  const notExecuted = reports.find((report) => report.kind === 'not-executed')?.notExecuted
  const ended = reports.find((report) => report.kind === 'ended')
  const exitCode = ended === undefined ? undefined : findExitCode(ended.status, notExecuted)
  if (exitCode !== 0) throw new OciHookFailed(hook, notExecuted === undefined ? `exit code ${exitCode ?? 'unknown'}` : `not executed (${notExecuted.errnoName})`)
}
