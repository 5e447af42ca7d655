import { sha256 } from '../../oci/digest.ts'
import type { ChainId } from '../../oci/digest.ts'
import { isObject } from '../../oci/json.ts'
import type { Store } from '../../storage/index.ts'
import type { BuildPlan, NodeId, StepLabel } from '../plan/plan.ts'
import type { CacheKey, KeyPart } from './cache-key.ts'

/** Why the result of a step could not be taken from the cache: the first reason there is. */
export type MissCause =
  /** This step of this Dockerfile was never run with this store. */
  | { readonly kind: 'never-built' }
  /** It was to be run whatever is known: --no-cache, --no-cache-filter, or `cache=off` above it. */
  | { readonly kind: 'cache-off' }
  /** Nothing changed since it was last run, and its layer was removed. */
  | { readonly kind: 'layer-gone' }
  /** What it is built on: the image of FROM, or the step above, came out different. */
  | { readonly kind: 'base-changed'; readonly before: string; readonly after: string }
  /**
   * The first part that differs from when it was last run: `command`, `instruction`, `env NAME`, `arg NAME`, `file src/a.ts`, `chown`.
   * Undefined is absent. Values of variables are left out.
   */
  | { readonly kind: 'changed'; readonly part: string; readonly before: string | undefined; readonly after: string | undefined }

/** What is kept of a step's last run, to compare the next one with. */
interface LastRun {
  readonly digest: string
  readonly source: string
  readonly parts: readonly KeyPart[]
  /** The variables that an ARG set. */
  readonly args: readonly string[]
}

const shownDigits = 12

/** Compares steps with when they were last run for the same Dockerfile. `place` says which that is. */
export class MissExplainer {
  readonly #store: Store
  readonly #place: string
  readonly #plan: BuildPlan

  constructor(parts: { readonly store: Store; readonly place: string; readonly plan: BuildPlan }) {
    this.#store = parts.store
    this.#place = parts.place
    this.#plan = parts.plan
  }

  explain(node: NodeId, key: CacheKey): MissCause {
    const label = this.#plan.labels.get(node)
    if (label === undefined) return { kind: 'never-built' }
    const last = this.#findLast(this.#textKey(label)) ?? this.#findMoved(label)
    if (last === undefined) return { kind: 'never-built' }
    if (last.digest === key.digest) return { kind: 'layer-gone' }
    return findChange(last, this.#describe(node, { key, label }))
  }

  /** Takes a result that another Dockerfile made for this step's last run, where it had none. */
  adopt(node: NodeId, key: CacheKey, chainId: ChainId | undefined): void {
    const label = this.#plan.labels.get(node)
    if (label === undefined || !hasOwnParts(key) || this.#store.cache.find(this.#textKey(label)) !== undefined) return
    // What is only promised so far cannot be recorded.
    if (chainId !== undefined && this.#store.layers.find(chainId) !== undefined) this.remember(node, key, chainId)
  }

  remember(node: NodeId, key: CacheKey, chainId: ChainId | undefined): void {
    const label = this.#plan.labels.get(node)
    if (label === undefined || chainId === undefined) return
    this.#store.cache.put({ key: this.#textKey(label), chainId, payload: JSON.stringify(this.#describe(node, { key, label })) })
    this.#store.cache.put({ key: this.#positionKey(label), chainId, payload: JSON.stringify(label.source) })
  }

  #describe(node: NodeId, { key, label }: { readonly key: CacheKey; readonly label: StepLabel }): LastRun {
    return { digest: key.digest, source: label.source, parts: allParts(key), args: [...this.#plan.variablesOfArgs.get(node) ?? []] }
  }

  /** The step that was at this place when its instruction still read otherwise. */
  #findMoved(label: StepLabel): LastRun | undefined {
    const record = this.#store.cache.find(this.#positionKey(label))
    if (record === undefined) return undefined
    const source: unknown = JSON.parse(record.payload)
    return typeof source === 'string' ? this.#findLast(this.#textKey({ ...label, source })) : undefined
  }

  #findLast(key: string): LastRun | undefined {
    const record = this.#store.cache.find(key)
    return record === undefined ? undefined : parseLastRun(record.payload)
  }

  #textKey({ stage, source }: StepLabel): string {
    return sha256(JSON.stringify(['last run', this.#place, stage, source]))
  }

  #positionKey({ stage, step }: StepLabel): string {
    return sha256(JSON.stringify(['last run at', this.#place, stage, step]))
  }
}

/** Not one that names layers in place of what is in them: a run is known by its content. */
function hasOwnParts({ parts }: CacheKey): boolean {
  return !parts.some(({ name }) => name === 'stage' || (name.startsWith('mount ') && name.endsWith(' layers')))
}

/** File by file where the key says so. */
function allParts({ parts, files }: CacheKey): KeyPart[] {
  return files === undefined ? [...parts] : [...parts.filter(({ name }) => !name.startsWith('source ')), ...files()]
}

function findChange(before: LastRun, after: LastRun): MissCause {
  const old = new Map(before.parts.map(({ name, value }) => [name, value]))
  const now = new Map(after.parts.map(({ name, value }) => [name, value]))
  const changed = [...now.keys(), ...old.keys()].find((name) => old.get(name) !== now.get(name))
  if (changed === 'base') return { kind: 'base-changed', before: old.get('base') ?? '', after: now.get('base') ?? '' }
  if (before.source !== after.source) return { kind: 'changed', part: 'instruction', before: before.source, after: after.source }
  // The same parts in another order.
  if (changed === undefined) return { kind: 'changed', part: 'order', before: undefined, after: undefined }
  const variable = /^env (.*)$/su.exec(changed)?.[1]
  if (variable !== undefined) return { kind: 'changed', part: [...after.args, ...before.args].includes(variable) ? `arg ${variable}` : changed, before: undefined, after: undefined }
  return { kind: 'changed', part: changed, before: shorten(old.get(changed)), after: shorten(now.get(changed)) }
}

function shorten(value: string | undefined): string | undefined {
  return value?.startsWith('sha256:') === true ? value.slice('sha256:'.length, 'sha256:'.length + shownDigits) : value
}

function parseLastRun(payload: string): LastRun | undefined {
  const value: unknown = JSON.parse(payload)
  if (!isObject(value) || typeof value['digest'] !== 'string' || typeof value['source'] !== 'string' || !Array.isArray(value['parts'])) return undefined
  const parts = value['parts'].map((part: unknown) => isObject(part) && typeof part['name'] === 'string' && typeof part['value'] === 'string' ? { name: part['name'], value: part['value'] } : undefined)
  const args = Array.isArray(value['args']) ? value['args'].filter((arg) => typeof arg === 'string') : []
  return { digest: value['digest'], source: value['source'], parts: parts.filter((part) => part !== undefined), args }
}
