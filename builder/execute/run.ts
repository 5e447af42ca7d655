import { randomUUID } from 'node:crypto'
import type { Task } from '../../core/task.ts'
import { mapTask, silent } from '../../core/task.ts'
import type { ContainerSpec, Network, OutputEvent } from '../../runtime/index.ts'
import { runContainer } from '../../runtime/index.ts'
import type { Layer, Snapshot, Store } from '../../storage/index.ts'
import { cacheKey } from '../cache/cache-key.ts'
import type { CacheKey, KeyPart } from '../cache/cache-key.ts'
import type { Confinement } from '../container/confinement.ts'
import type { ResolvedUser } from '../container/user.ts'
import { resolveUser } from '../container/user.ts'
import { networkFiles } from '../container/network-files.ts'
import type { NetworkChoice } from '../container/open-network.ts'
import { openNetwork } from '../container/open-network.ts'
import { CommandFailed } from '../errors.ts'
import type { BuildEvent } from '../events.ts'
import type { RunNode } from '../plan/plan.ts'
import type { Executed, Executor, Step } from './executor.ts'
import type { CachedLayers } from './cached-layers.ts'

/** What the user set for every RUN of a build and what does not change its result. */
export type RunSettings = Confinement

/** The host name BuildKit gives its steps; programs write it into what they make. */
const hostname = 'buildkitsandbox'
const scriptMode = 0o755

export function createRunExecutor(parts: { store: Store; layers: CachedLayers; settings: RunSettings }): Executor<RunNode> {
  const { store, layers, settings } = parts
  let isWarned = false
  const warn = (reason: string, task: Task<BuildEvent>): void => {
    if (!isWarned) task.emit({ type: 'warning-raised', rule: 'NetworkFallback', message: `no bridge network here, so RUN steps use the host's: ${reason}`, range: undefined })
    isWarned = true
  }
  return {
    find: (step) => layers.find(runKey(step, settings), step.input(step.node.base)),
    run: async (step, key, task): Promise<Executed> => {
      const base = step.input(step.node.base)
      await base.ensure(task)
      const user = await resolveUser(store.layers.view(base.chainId), step.node.user)
      await using snapshot = await store.layers.prepare(base.chainId)
      using open = await openNetwork(effectiveNetwork(step.node, settings), { subnet: settings.subnet, isIsolated: true, warn: (reason) => { warn(reason, task) } })
      const spec = containerSpec({ node: step.node, snapshot, user, settings, network: open.network })
      const exit = await runContainer(spec, { kind: 'events' }, outputOf(step, task))
      if (exit.exitCode !== 0) throw new CommandFailed(step.node.args, exit)
      const layer: Layer = await snapshot.commit(silent(task))
      return { result: layers.record(key, layer, base), usage: exit.usage }
    },
  }
}

function outputOf(step: Step<RunNode>, task: Task<BuildEvent>): Task<OutputEvent> {
  return mapTask(task, ({ stream, bytes }): BuildEvent => ({ type: 'node-output', node: step.id, stream, bytes }))
}

function runKey({ node, input }: Step<RunNode>, settings: RunSettings): CacheKey {
  const effective = effectiveNetwork(node, settings)
  const parts: KeyPart[] = [
    { name: 'base', value: input(node.base).chainId ?? '' },
    { name: 'command', value: JSON.stringify(node.args) },
    ...node.env.map((entry) => ({ name: `env ${entry.slice(0, entry.indexOf('='))}`, value: entry })),
    { name: 'workdir', value: node.cwd },
    { name: 'user', value: node.user },
    { name: 'network', value: effective === 'none' ? 'none' : 'any' },
    ...(node.script === undefined ? [] : [{ name: 'script', value: node.script.content }]),
  ]
  return cacheKey('run', parts)
}

function effectiveNetwork(node: RunNode, settings: RunSettings): NetworkChoice {
  return node.network === 'default' ? settings.network : node.network
}

function containerSpec(parts: { node: RunNode; snapshot: Snapshot; user: ResolvedUser; settings: RunSettings; network: Network }): ContainerSpec {
  const { node, snapshot, user, settings, network } = parts
  const hasHome = node.env.some((entry) => entry.startsWith('HOME='))
  return {
    id: `tsbuild-${randomUUID()}`,
    rootfs: snapshot.rootfs,
    process: { args: node.args, env: hasHome ? node.env : [...node.env, `HOME=${user.home}`], cwd: node.cwd, user, ulimits: settings.ulimits },
    isolation: { hostname, network, ...(settings.shmSizeBytes === undefined ? {} : { shmSizeBytes: settings.shmSizeBytes }) },
    mounts: [
      ...networkFiles({ network, hostname, confinement: settings }),
      ...(node.script === undefined ? [] : [{ kind: 'file' as const, target: node.script.path, content: Buffer.from(node.script.content), mode: scriptMode, uid: 0, gid: 0 }]),
    ],
    limits: settings.limits,
    privilege: settings.privilege,
    devices: settings.devices,
  }
}
