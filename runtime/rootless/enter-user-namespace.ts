import { closeSync, writeSync } from 'node:fs'
import type { HelperExit } from '../../native/index.ts'
import { getAddon, HelperFailure, startHelper, WireWriter } from '../../native/index.ts'
import { UserNamespaceUnavailable } from '../errors.ts'
import { planIds, writeIdMaps } from './id-mapping.ts'

export interface Entry {
  /** A process of ours whose user namespace it is; default a new one. */
  readonly namespaceOf?: number | undefined
  /** An absolute path. */
  readonly program: string
  /** With the program's own name first. */
  readonly args: readonly string[]
  readonly env: Readonly<NodeJS.ProcessEnv>
  /** Where its standard output goes; default ours. */
  readonly stdout?: number
  /** Told when ids are short, with the reason. */
  readonly warn: (text: string) => void
  /** Passes signals on; returns what stops that. */
  readonly forward: (kill: (signal: NodeJS.Signals) => void) => () => void
}

/**
 * Runs a program as root of a user namespace, with our standard streams and in our process group, to its end. It
 * dies with this process. Node itself cannot move there: the kernel wants a process of one thread.
 * @throws {UserNamespaceUnavailable}
 */
export async function enterUserNamespace(entry: Entry): Promise<HelperExit> {
  const { namespaceOf, env, stdout = 1, warn, forward } = entry
  const plan = namespaceOf === undefined ? planIds(env) : undefined
  if (plan?.kind === 'single') warn(`only your own user id is available in containers, because ${plan.reason}: images with files of other users cannot be used`)
  const [goRead, goWrite] = getAddon().pipe(0)
  let failure: { readonly error: unknown } | undefined
  const release = (): void => {
    try {
      if (plan !== undefined) writeIdMaps(helper.pid, plan)
      writeSync(goWrite, 'g')
    } catch (error) {
      failure = { error }
      helper.kill('SIGKILL')
    }
  }
  const helper = startHelper({ mode: 'enter', request: encodeEntry(entry), stdio: [0, stdout, 2], fds: [goRead] }, release)
  closeSync(goRead)
  const stop = forward((signal) => { helper.kill(signal) })
  const end = await helper.ended.then((exit) => ({ exit }), (error: unknown) => ({ error }))
  stop()
  closeSync(goWrite)
  if (failure !== undefined) throw failure.error
  if ('error' in end) throw explain(end.error)
  return end.exit
}

function encodeEntry({ namespaceOf = 0, program, args, env }: Entry): Uint8Array {
  const wire = new WireWriter().u32(namespaceOf).bytes(program)
  wire.list(args, (arg) => wire.bytes(arg))
  wire.list(Object.entries(env).flatMap(([name, value]) => value === undefined ? [] : [`${name}=${value}`]), (variable) => wire.bytes(variable))
  return wire.finish()
}

/** Stage 2 of native/helper/container/user-namespace.h: the namespace itself was refused. */
const namespaceStage = 2

function explain(error: unknown): unknown {
  if (!(error instanceof HelperFailure) || error.stage !== namespaceStage) return error
  return new UserNamespaceUnavailable(`the kernel refuses one with ${error.errnoName}`, 'let an administrator allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), or run as root', { cause: error })
}
