import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { ContainerExit, ContainerSpec, ContainerStdio, Limits, Network, Rootfs } from '../../runtime/index.ts'
import { runContainer } from '../../runtime/index.ts'
import type { Store } from '../../storage/index.ts'
import type { SecretGuard } from '../guard/secret-guard.ts'
import type { WireLabel } from '../record/wire-event.ts'
import type { FailedRun } from './keep-step.ts'
import { keepStep } from './keep-step.ts'
import type { KeptStep } from './kept-step.ts'

/** A RUN step that has just failed. What it left is there as long as the handler it is given to takes. */
export interface FailedStep {
  readonly build: string
  readonly label: WireLabel | undefined
  readonly args: readonly string[]
  readonly exitCode: number
  /**
   * Runs another command as the step was run: same root filesystem, environment, user, folder, mounts, limits and
   * confinement; only a time limit is lifted. No args: the shell that the step was written for.
   */
  run(args: readonly string[], stdio: ContainerStdio): Promise<ContainerExit>
  /** Keeps what it left, for `runKeptStep`. To be called last. @throws {SecretLeaked} it holds the value of a secret */
  keep(): Promise<KeptStep>
}

/** Called when a RUN step has failed, before the build does. */
export type OnFailure = (failed: FailedStep) => Promise<void>

export interface FailureParts {
  readonly store: Store
  readonly guard: SecretGuard
}

export function describeFailure({ store, guard }: FailureParts, failed: FailedRun, task: Task): FailedStep {
  const { build, label, exitCode, node, spec } = failed
  return {
    build, label, exitCode, args: node.args,
    run: (args, stdio) => {
      for (const rootfs of [spec.rootfs, ...spec.mounts.flatMap((mount) => mount.kind === 'layers' ? [mount.rootfs] : [])]) allowAnotherMount(rootfs)
      return runContainer(debugSpec(spec, args.length > 0 ? args : shellOf(node.args)), stdio, silent(task))
    },
    keep: async () => {
      await guard.checkDirectory(await failed.snapshot.changes(silent(task)), silent(task))
      return keepStep(store, failed, silent(task))
    },
  }
}

/**
 * An overlay mounted as volatile leaves a mark that refuses the next mount, since a crash may have lost writes. There was
 * none. @see kernel Documentation/filesystems/overlayfs.rst "Volatile mount"
 */
function allowAnotherMount(rootfs: Rootfs): void {
  if (rootfs.kind === 'overlay' && rootfs.upper !== undefined) rmSync(join(rootfs.upper.workdir, 'work', 'incompat'), { recursive: true, force: true })
}

/** The same container for a person: time is no limit, and programs want to know what the terminal can do. */
export function debugSpec(spec: ContainerSpec, args: readonly string[]): ContainerSpec {
  const { env } = spec.process
  const { timeoutMs: _timeoutMs, ...limits }: Limits = spec.limits
  return { ...spec, id: `tsbuild-${randomUUID()}`, isolation: { ...spec.isolation, network: connectedNetwork(spec.isolation.network) }, limits, process: { ...spec.process, args, env: env.some((entry) => entry.startsWith('TERM=')) ? env : [...env, 'TERM=xterm'] } }
}

/** Where it outlives its containers, the one that failed has hung it on the bridge. */
function connectedNetwork(network: Network): Network {
  return network.mode === 'bridge' && network.namespace !== undefined ? { ...network, namespace: { ...network.namespace, isConnected: true } } : network
}

/** `["/bin/bash", "-c", …]` was written for bash. */
export function shellOf(args: readonly string[]): string[] {
  const [program = '/bin/sh', option = ''] = args
  return [/^-\w*c$/u.test(option) ? program : '/bin/sh']
}
