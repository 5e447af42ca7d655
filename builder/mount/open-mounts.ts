import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { ChainId } from '../../oci/digest.ts'
import type { Mount } from '../../runtime/index.ts'
import { packChangeset } from '../../storage/index.ts'
import type { CopyRoot } from '../copy/place.ts'
import { SecretUnavailable } from './errors.ts'
import type { BuildEvent } from '../events.ts'
import type { Step } from '../execute/executor.ts'
import type { PlannedBindMount, PlannedCacheMount, PlannedMount, PlannedSecretMount, PlannedSshMount, RunNode } from '../plan/plan.ts'
import { openAgentSocket } from './agent-socket.ts'
import type { MountParts } from './mount-parts.ts'
import { asTree, mountSourceDigest, openMountSource, originView, readMountRoot } from './mount-source.ts'
import { readSecret } from './secret-value.ts'

/** The mounts of one step, held until they are disposed of. */
export interface OpenMounts extends AsyncDisposable {
  readonly mounts: readonly Mount[]
  /** `NAME=value`, of secrets that are environment variables. */
  readonly env: readonly string[]
  /** The layers behind each mount of type bind. */
  readonly binds: readonly OpenBind[]
}

export interface OpenBind {
  readonly chainId: ChainId | undefined
  readonly path: string
  readonly target: string
  readonly readonly: boolean
}

/** And whose the process of the step is. */
export interface StepMountParts extends MountParts {
  readonly user: { readonly uid: number; readonly gid: number }
}

/** Makes what the RUN --mounts of a step need. Nothing of it is in the step's layer afterwards. */
export async function openMounts(step: Step<RunNode>, parts: StepMountParts, task: Task<BuildEvent>): Promise<OpenMounts> {
  const held = new AsyncDisposableStack()
  try {
    const opener = new MountOpener(step, parts, held)
    // One after the other by name: two steps that want the same locked caches must want them in one order.
    for (const mount of step.node.mounts.filter((each) => each.type === 'cache').sort((one, other) => (one.id < other.id ? -1 : 1))) await opener.holdCache(mount, task)
    const mounts: Mount[] = []
    for (const mount of step.node.mounts) mounts.push(...await opener.open(mount, task))
    return { mounts, env: opener.env, binds: opener.binds, [Symbol.asyncDispose]: () => held.disposeAsync() }
  } catch (error) {
    await held.disposeAsync()
    throw error
  }
}

class MountOpener {
  readonly env: string[] = []
  readonly binds: OpenBind[] = []
  readonly #step: Step<RunNode>
  readonly #parts: StepMountParts
  readonly #held: AsyncDisposableStack
  /** By what the store knows a cache by: a step that mounts one twice holds it once. */
  readonly #caches = new Map<string, string>()

  constructor(step: Step<RunNode>, parts: StepMountParts, held: AsyncDisposableStack) {
    this.#step = step
    this.#parts = parts
    this.#held = held
  }

  async holdCache(mount: PlannedCacheMount, task: Task<BuildEvent>): Promise<void> {
    if (this.#caches.has(cacheName(mount))) return
    const { id, uid, gid, mode } = mount
    // The strictest sharing that the step asks for this cache.
    const sharings = this.#step.node.mounts.flatMap((other) => other.type === 'cache' && cacheName(other) === cacheName(mount) ? other.sharing : [])
    const sharing = (['locked', 'private'] as const).find((strict) => sharings.includes(strict)) ?? 'shared'
    const seed = mount.from === undefined ? undefined : await this.#seed(mount, task)
    const owner = mount.isOwned ? { uid, gid } : { uid: this.#parts.user.uid, gid: this.#parts.user.gid }
    const held = this.#held.use(await this.#parts.store.mounts.hold({ id, uid, gid, mode, sharing, seed, owner }, silent(task)))
    this.#caches.set(cacheName(mount), held.path)
  }

  async open(mount: PlannedMount, task: Task<BuildEvent>): Promise<Mount[]> {
    switch (mount.type) {
      case 'bind': return [await this.#bind(mount, task)]
      case 'cache': return [{ kind: 'bind', source: this.#caches.get(cacheName(mount)) ?? '', target: mount.target, readonly: mount.isReadOnly, hasContainerIds: true }]
      case 'tmpfs': return [{ kind: 'tmpfs', target: mount.target, readonly: mount.isReadOnly, ...(mount.sizeBytes === undefined ? {} : { sizeBytes: mount.sizeBytes }) }]
      case 'secret': return this.#secret(mount)
      case 'ssh': return this.#ssh(mount)
    }
  }

  async #bind(mount: PlannedBindMount, task: Task<BuildEvent>): Promise<Mount> {
    const { chainId, path } = await openMountSource(mount, { step: this.#step, parts: this.#parts }, task)
    const snapshot = this.#held.use(await this.#parts.store.layers.prepare(chainId))
    this.binds.push({ chainId, path, target: mount.target, readonly: mount.isReadOnly })
    return { kind: 'layers', rootfs: snapshot.rootfs, path, target: mount.target, readonly: mount.isReadOnly }
  }

  async #seed(mount: PlannedCacheMount, task: Task<BuildEvent>): Promise<{ name: string; changeset: () => AsyncIterable<Uint8Array> }> {
    const access = { step: this.#step, parts: this.#parts }
    const name = await mountSourceDigest(mount, access, task)
    const view = await originView(mount.from ?? { kind: 'context' }, access, task)
    const root = await readMountRoot(view, mount.source)
    return { name, changeset: () => this.#pack(root, task) }
  }

  async* #pack(root: CopyRoot, task: Task<BuildEvent>): AsyncGenerator<Uint8Array> {
    yield* packChangeset(await asTree(this.#parts.store.layers.view(undefined), root), silent(task))
  }

  #secret({ id, target, env, isRequired, mode, uid, gid }: PlannedSecretMount): Mount[] {
    const content = readSecret(this.#parts.secrets, { id, isRequired })
    if (content === undefined) return []
    if (env !== undefined) this.env.push(`${env}=${secretText(id, content)}`)
    return target === undefined ? [] : [{ kind: 'file', target, content, mode, uid, gid }]
  }

  async #ssh({ id, target, isRequired, mode, uid, gid }: PlannedSshMount): Promise<Mount[]> {
    const paths = Object.hasOwn(this.#parts.sshAgents, id) ? this.#parts.sshAgents[id] : undefined
    if (paths === undefined) {
      if (isRequired) throw new SecretUnavailable(id, 'the step requires this ssh agent, and the build was not given it', `--ssh ${id}`)
      return []
    }
    const socket = this.#held.use(await openAgentSocket({ id, paths }, { uid, gid, mode }))
    if (!this.env.some((entry) => entry.startsWith('SSH_AUTH_SOCK='))) this.env.push(`SSH_AUTH_SOCK=${target}`)
    return [{ kind: 'bind', source: socket.path, target, readonly: false, hasContainerIds: true }]
  }
}

function cacheName({ id, uid, gid, mode, from, source }: PlannedCacheMount): string {
  return JSON.stringify([id, uid, gid, mode, from, source])
}

function secretText(id: string, content: Uint8Array): string {
  const text = Buffer.from(content).toString('utf8')
  if (text.includes('\0')) throw new SecretUnavailable(id, 'it holds a NUL, which no environment variable can', undefined)
  return text
}
