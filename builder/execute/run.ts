import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { NetworkPool, ContainerEvent, ContainerExit, ContainerSpec, IdMaps, Limits, Network, UsageReport } from '../../runtime/index.ts'
import { leaseIds, leavesNetworkUnchanged, randomId } from '../../runtime/index.ts'
import { formatPlatform, hostPlatform } from '../../oci/platform.ts'
import type { Layer, Snapshot, Store } from '../../storage/index.ts'
import { cacheKey } from '../cache/cache-key.ts'
import type { CacheKey, KeyPart } from '../cache/cache-key.ts'
import type { Confinement, NetworkChoice } from '../container/confinement.ts'
import type { ResolvedUser } from '../container/user.ts'
import { KnownUsers } from '../container/known-users.ts'
import { networkFiles } from '../container/network-files.ts'
import { openNetwork } from '../container/open-network.ts'
import { runInStore } from '../container/run-in-store.ts'
import type { DeviceEdits } from '../device/device-edits.ts'
import { deviceEdits } from '../device/device-edits.ts'
import { findDevices } from '../device/find-devices.ts'
import type { StepPolicy } from '../dockerfile/step-policy.ts'
import type { Entitlement } from '../errors.ts'
import { CommandFailed, NotEntitled, PlatformNotRunnable } from '../errors.ts'
import type { BuildEvent } from '../events.ts'
import { GuardedLog } from '../guard/guarded-log.ts'
import { formatLeak } from '../guard/leak.ts'
import type { SecretGuard } from '../guard/secret-guard.ts'
import { mountContents, mountDefinitions, mountLayers } from '../mount/mount-key.ts'
import type { MountParts } from '../mount/mount-parts.ts'
import type { OpenMounts } from '../mount/open-mounts.ts'
import { openMounts } from '../mount/open-mounts.ts'
import type { NodeId, RunNode } from '../plan/plan.ts'
import type { Executed, Executor, Lookup, Step } from './executor.ts'
import type { CachedLayers } from './cached-layers.ts'

/** What the user set for every RUN of a build and what does not change its result. */
export interface RunSettings extends Confinement {
  readonly allowed: ReadonlySet<Entitlement>
  /** Variables every step gets that change no result: proxies. A variable of the step's own comes before them. */
  readonly env: ReadonlyMap<string, string>
  /** Default the one BuildKit gives its steps: programs write it into what they make. */
  readonly hostname: string | undefined
  /** Where the Container Device Interface has its specifications. */
  readonly cdiFolders: readonly string[]
}

const usualHostname = 'buildkitsandbox'
const scriptMode = 0o755

export interface RunParts {
  readonly store: Store
  readonly guard: SecretGuard
  readonly layers: CachedLayers
  readonly settings: RunSettings
  readonly mounts: MountParts
  readonly policy: (node: NodeId) => StepPolicy
  readonly networks: NetworkPool
  /** Sees what the last attempt of a step left before it is gone. */
  readonly onFailure: ((failed: FailedContainer, task: Task<BuildEvent>) => Promise<void>) | undefined
}

export interface FailedContainer {
  readonly step: Step<RunNode>
  readonly exit: ContainerExit
  readonly spec: ContainerSpec
  readonly snapshot: Snapshot
  readonly opened: OpenMounts
}

export function createRunExecutor(given: RunParts): Executor<RunNode> {
  const { layers, settings } = given
  const parts = { ...given, users: new KnownUsers(given.store) }
  return {
    /** With mounts of stages it is looked up by their layers first, which costs nothing, then by what is mounted. */
    find: async (step, task): Promise<Lookup> => {
      checkEntitlements(step.node, settings)
      const byLayers = layersKey(step, settings)
      if (byLayers !== undefined) {
        const lookup = await layers.find(byLayers, step.input(step.node.base))
        if (lookup.kind === 'hit' || !hasSources(step.node)) return lookup
      }
      const key = cacheKey('run', [...definition(step, settings), ...await mountContents({ step, parts: parts.mounts }, task)])
      const lookup = await layers.find(key, step.input(step.node.base))
      if (lookup.kind === 'hit' && byLayers !== undefined) layers.alias(byLayers, key, lookup.result)
      return lookup
    },
    run: async (step, key, task): Promise<Executed> => {
      const base = step.input(step.node.base)
      await base.ensure(task)
      const executed = await runRetried(step, parts, task)
      const result = layers.record(key, executed.layer, base)
      const byLayers = layersKey(step, settings)
      if (byLayers !== undefined && hasSources(step.node)) layers.alias(byLayers, key, result)
      return { result, usage: executed.usage }
    },
  }
}

interface Ran { readonly layer: Layer; readonly usage: UsageReport }

/** Each attempt begins with the base again: what a failed one left is gone, but for what it wrote to the log. */
async function runRetried(step: Step<RunNode>, parts: OwnParts, task: Task<BuildEvent>): Promise<Ran> {
  const retries = parts.policy(step.id).retries ?? 0
  const log = new GuardedLog(parts.guard.patterns, (stream, bytes) => { task.emit({ type: 'node-output', node: step.id, stream, bytes, atMs: Date.now() }) })
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await runOnce(step, { ...parts, log, onFailure: attempt > retries ? parts.onFailure : undefined }, task)
    } catch (error) {
      if (!(error instanceof CommandFailed) || attempt > retries) throw error
      task.emit({ type: 'warning-raised', rule: 'StepRetried', message: `attempt ${attempt} of ${retries + 1} failed: ${error.message}`, range: undefined })
    }
  }
}

interface OwnParts extends RunParts { readonly users: KnownUsers }

interface Attempt extends OwnParts { readonly log: GuardedLog }

async function runOnce(step: Step<RunNode>, parts: Attempt, task: Task<BuildEvent>): Promise<Ran> {
  const { store, settings, log } = parts
  const { chainId } = step.input(step.node.base)
  const user = await parts.users.resolve(chainId, step.node.user)
  const devices = deviceEdits(await findDevices(step.node.devices, { folders: settings.cdiFolders, allowed: settings.allowed, warn: (message) => { task.emit({ type: 'warning-raised', rule: 'DeviceMissing', message, range: undefined }) } }))
  await using opened = await openMounts(step, { ...parts.mounts, user }, task)
  await using snapshot = await store.layers.prepare(chainId)
  using open = await openNetwork(effectiveNetwork(step.node, settings), {
    ...settings, isIsolated: true, ports: [], pool: canShareNetwork(step.node, settings) ? parts.networks : undefined, warn: (reason) => { warnOnce(reason, settings, task) },
  })
  using ids = leaseIds(settings.userNamespace)
  const spec = containerSpec({ node: step.node, snapshot, user, settings, opened, devices, policy: parts.policy(step.id), network: open.network, idMaps: ids.idMaps })
  const exit = await runInStore(store, spec, { kind: 'events' }, eventsOf(step, log, task)).finally(() => { log.end() })
  open.keep()
  if (exit.exitCode !== 0) {
    for (const leak of log.leaks) task.emit({ type: 'warning-raised', rule: 'SecretInLog', message: `the value of secret ${formatLeak(leak)}`, range: undefined })
    await parts.onFailure?.({ step, exit, spec, snapshot, opened }, task)
    throw explainForeign(step.node, new CommandFailed(step.node.args, exit))
  }
  log.check()
  warnOfThrottling(exit.usage, settings, task)
  await checkWritten(parts.guard, snapshot, silent(task))
  return { layer: await snapshot.commit(silent(task)), usage: exit.usage }
}

async function checkWritten(guard: SecretGuard, snapshot: Snapshot, task: Task): Promise<void> {
  await guard.checkDirectory(await snapshot.changes(task), task)
}

/** Of the settings of a build, which are told once why their network is not a bridge. */
const warned = new WeakSet<RunSettings>()

function warnOnce(reason: string, settings: RunSettings, task: Task<BuildEvent>): void {
  if (warned.has(settings)) return
  warned.add(settings)
  task.emit({ type: 'warning-raised', rule: 'NetworkFallback', message: `no network of their own here, so RUN steps use the host's: ${reason}`, range: undefined })
}

/** Below so many periods, of 0.1 s each, a share says nothing. */
const fewestPeriods = 10
const highestShare = 0.25

function warnOfThrottling({ cpuPeriods = 0, cpuThrottledPeriods = 0, cpuThrottledMs = 0 }: UsageReport, { limits }: RunSettings, task: Task<BuildEvent>): void {
  if (cpuPeriods < fewestPeriods || cpuThrottledPeriods <= cpuPeriods * highestShare) return
  const message = `the limit of ${limits.cpus ?? 0} processors held the step back in ${cpuThrottledPeriods} of ${cpuPeriods} periods, for ${Math.round(cpuThrottledMs)} ms; raise --cpus`
  task.emit({ type: 'warning-raised', rule: 'CpuThrottled', message, range: undefined })
}

/** What the kernel cannot execute may be for another processor, and then that is the reason. */
function explainForeign({ platform }: RunNode, failure: CommandFailed): Error {
  const host = formatPlatform(hostPlatform(process.arch))
  return failure.notExecuted?.reason === 'wrong-format' && platform !== host ? new PlatformNotRunnable(platform, host, { cause: failure }) : failure
}

function hasSources({ mounts }: RunNode): boolean {
  return mounts.some((mount) => (mount.type === 'bind' || mount.type === 'cache') && mount.from !== undefined)
}

/** A mode that an ordinary step has anyway needs no leave. */
function checkEntitlements({ network, isInsecure }: RunNode, settings: RunSettings): void {
  if (network === 'host' && settings.network !== 'host' && !settings.allowed.has('network.host')) throw new NotEntitled('network.host')
  if (isInsecure && !settings.allowed.has('security.insecure')) throw new NotEntitled('security.insecure')
}

function eventsOf({ id }: Step<RunNode>, log: GuardedLog, { signal, emit }: Task<BuildEvent>): Task<ContainerEvent> {
  return {
    signal,
    emit: (event) => {
      if (event.type === 'usage-sampled') emit({ ...event, node: id })
      else log.write(event.stream, event.bytes)
    },
  }
}

/** undefined when only the content of what is mounted can tell. */
function layersKey(step: Step<RunNode>, settings: RunSettings): CacheKey | undefined {
  const mounted = mountLayers(step)
  return mounted === undefined ? undefined : cacheKey('run', [...definition(step, settings), ...mounted])
}

function definition({ node, input }: Step<RunNode>, settings: RunSettings): KeyPart[] {
  const effective = effectiveNetwork(node, settings)
  return [
    { name: 'base', value: input(node.base).chainId ?? '' },
    { name: 'command', value: JSON.stringify(node.args) },
    ...node.env.map((entry) => ({ name: `env ${entry.slice(0, entry.indexOf('='))}`, value: entry })),
    { name: 'workdir', value: node.cwd },
    { name: 'user', value: node.user },
    { name: 'platform', value: node.platform },
    { name: 'network', value: effective === 'none' ? 'none' : 'any' },
    ...(node.script === undefined ? [] : [{ name: 'script', value: node.script.content }]),
    ...(node.isInsecure ? [{ name: 'security', value: 'insecure' }] : []),
    ...mountDefinitions(node),
    ...(node.devices.length === 0 ? [] : [{ name: 'devices', value: JSON.stringify(node.devices) }]),
  ]
}

/** A user namespace of a step's own has a network of its own. */
function canShareNetwork(node: RunNode, { userNamespace, privilege }: RunSettings): boolean {
  return userNamespace.kind === 'host' && !node.isInsecure && leavesNetworkUnchanged(privilege)
}

function effectiveNetwork(node: RunNode, settings: RunSettings): NetworkChoice {
  return node.network === 'default' ? settings.network : node.network
}

interface SpecParts {
  readonly node: RunNode
  readonly snapshot: Snapshot
  readonly user: ResolvedUser
  readonly settings: RunSettings
  readonly opened: OpenMounts
  readonly devices: DeviceEdits
  readonly policy: StepPolicy
  readonly network: Network
  readonly idMaps: IdMaps | undefined
}

function containerSpec({ node, snapshot, user, settings, opened, devices, policy, network, idMaps }: SpecParts): ContainerSpec {
  const hostname = settings.hostname ?? usualHostname
  return {
    id: `tsbuild-${randomId()}`,
    rootfs: snapshot.rootfs,
    process: { args: node.args, env: processEnv({ node, user, settings, opened, devices }), cwd: node.cwd, user: { ...user, groups: [...new Set([...user.groups, ...devices.groups])] }, ulimits: settings.ulimits },
    isolation: { hostname, network, ...(idMaps === undefined ? {} : { idMaps }), ...(settings.shmSizeBytes === undefined ? {} : { shmSizeBytes: settings.shmSizeBytes }) },
    mounts: [
      ...networkFiles({ network, hostname, confinement: settings }),
      ...opened.mounts,
      ...devices.mounts,
      ...(node.script === undefined ? [] : [{ kind: 'file' as const, target: node.script.path, content: Buffer.from(node.script.content), mode: scriptMode, uid: 0, gid: 0 }]),
    ],
    limits: { ...settings.limits, ...policyLimits(policy) },
    privilege: node.isInsecure ? { ...settings.privilege, isPrivileged: true } : settings.privilege,
    devices: [...settings.devices, ...devices.devices],
    executor: settings.executor,
  }
}

/** What a step's own policy says comes before the build's. */
function policyLimits({ memoryBytes, pids, timeoutMs }: StepPolicy): Limits {
  return {
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(pids === undefined ? {} : { pids }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  }
}

function processEnv({ node, user, settings, opened, devices }: Pick<SpecParts, 'node' | 'user' | 'settings' | 'opened' | 'devices'>): string[] {
  const nameOf = (entry: string): string => entry.slice(0, entry.indexOf('='))
  const edited = new Set(devices.env.map(nameOf))
  const own = [...[...node.env, ...opened.env].filter((entry) => !edited.has(nameOf(entry))), ...devices.env]
  const names = new Set(own.map(nameOf))
  const added = [...settings.env, ['HOME', user.home] as const].filter(([name]) => !names.has(name))
  return [...own, ...added.map(([name, value]) => `${name}=${value}`)]
}
