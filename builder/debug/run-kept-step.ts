import { randomUUID } from 'node:crypto'
import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { ContainerExit, ContainerStdio, Mount } from '../../runtime/index.ts'
import { runContainer } from '../../runtime/index.ts'
import type { Engine } from '../engine.ts'
import { LayersGone } from '../errors.ts'
import { SharedCaches } from '../cache/shared/shared-caches.ts'
import { createCachedLayers } from '../execute/cached-layers.ts'
import { emptyResult } from '../execute/executor.ts'
import type { SecretSource } from '../mount/mount-parts.ts'
import { openMounts } from '../mount/open-mounts.ts'
import type { NodeId } from '../plan/plan.ts'
import { debugSpec, shellOf } from './failed-step.ts'
import type { KeptRootfs, KeptStep } from './kept-step.ts'

export interface DebugOptions {
  readonly kept: KeptStep
  /** Where to stand: where the step failed, or where it began. */
  readonly at: 'after' | 'before'
  /** undefined: the shell the step was written for. */
  readonly args: readonly string[] | undefined
  readonly secrets: Readonly<Record<string, SecretSource>>
  readonly sshAgents: Readonly<Record<string, readonly string[]>>
  readonly stdio: ContainerStdio
}

/** Runs a command where a step failed; what it changes is gone afterwards. @throws {LayersGone} @throws {SecretUnavailable} */
export async function runKeptStep({ store }: Engine, { kept, at, args, secrets, sshAgents, stdio }: DebugOptions, task: Task): Promise<ContainerExit> {
  const { node, spec } = kept
  const mountParts = {
    store, secrets, sshAgents,
    layers: createCachedLayers(store, { now: () => new Date(), shared: new SharedCaches(store, []), used: new Map() }),
    context: () => Promise.reject(new TypeError('what a step mounted of its context is kept as layers')),
  }
  const quiet = silent<unknown>(task)
  await using held = new AsyncDisposableStack()
  const opened = held.use(await openMounts({ id: `sha256:${kept.build}` as NodeId, node, input: () => emptyResult }, { ...mountParts, user: spec.process.user }, quiet))
  const binds: Mount[] = []
  for (const bind of kept.binds) {
    const tree = held.use(await store.layers.prepare(present(bind)))
    binds.push({ kind: 'layers', rootfs: tree.rootfs, path: bind.path, target: bind.target, readonly: bind.readonly })
  }
  const snapshot = held.use(await store.layers.prepare(present(kept[at])))
  const again = {
    ...spec, id: `tsbuild-${randomUUID()}`, rootfs: snapshot.rootfs, mounts: [...spec.mounts, ...opened.mounts, ...binds],
    process: { ...spec.process, env: [...spec.process.env, ...opened.env] },
  }
  return await runContainer(debugSpec(again, args ?? shellOf(node.args)), stdio, quiet)

  function present({ chainId }: KeptRootfs): KeptRootfs['chainId'] {
    if (chainId !== undefined && store.layers.find(chainId) === undefined) throw new LayersGone(kept.build)
    return chainId
  }
}
