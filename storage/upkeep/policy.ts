import type { Inventory, StockedImage } from '../usage/inventory.ts'
import type { Root } from '../usage/holdings.ts'

/** A share of the whole filesystem, or a number. */
export type Amount = { readonly kind: 'share'; readonly share: number } | { readonly kind: 'count'; readonly count: number }

/**
 * What may go, and how much of it. Evaluated in this order: what a living process uses stays; `what` and every filter
 * choose candidates; `keepLast` takes the newest of each repository out; with budgets the least recently used go until
 * all budgets hold, without budgets all candidates go.
 */
export interface PrunePolicy {
  /** `dangling`: images without a name, and cache entries whose layer no image with a name needs. */
  readonly what: 'all' | 'dangling'
  readonly filters: PruneFilters
  /** So many images of each repository stay, by the time they came into the store. Without budgets only images are candidates then. */
  readonly keepLast: number | undefined
  readonly budgets: Budgets
}

/** A root has to pass all that are given. */
export interface PruneFilters {
  /** An image that came into the store before this time, a cache entry or mount that was last used before it. Times in the future are never before. */
  readonly beforeMs?: number
  /** On every name of an image; what has no name does not pass. */
  readonly name?: (name: string) => boolean
  /** On the labels of an image; what has none does not pass. */
  readonly labels?: (labels: Readonly<Record<string, string>>) => boolean
  /** Whether an image has no name. */
  readonly isDangling?: boolean
  readonly kind?: Root['kind']
}

export interface Budgets {
  /** Of everything the store holds. */
  readonly maxBytes?: number
  readonly maxInodes?: number
  /** Of the filesystem. */
  readonly minFreeBytes?: Amount
  readonly minFreeInodes?: Amount
}

export interface Selecting {
  readonly inventory: Inventory
  readonly roots: readonly Root[]
  readonly policy: PrunePolicy
  /** Of an image, read when a filter asks for them. */
  readonly labelsOf: (image: StockedImage) => Readonly<Record<string, string>>
}

/** What a policy lets go, the least recently used first. */
export function selectCandidates(selecting: Selecting): Root[] {
  const { inventory, roots, policy } = selecting
  const kept = policy.keepLast === undefined ? new Set<string>() : newestOfEach(roots, policy.keepLast)
  const ofImages = policy.what === 'dangling' ? layersOfImages(inventory, roots) : new Set<string>()
  const isOfImages = policy.keepLast !== undefined && Object.keys(policy.budgets).length === 0
  const isMeant = (root: Root): boolean => policy.what === 'all' || (root.kind === 'image' && root.names.length === 0) || (root.kind === 'cache' && !ofImages.has(root.tops[0]))
  return roots
    .filter((root) => !root.isInUse && (root.kind === 'image' || !isOfImages) && isMeant(root) && passes(root, selecting) && !(root.kind === 'image' && kept.has(root.id)))
    .sort((one, other) => one.usedAtMs - other.usedAtMs || compareText(identity(one), identity(other)))
}

export function identity(root: Root): string {
  switch (root.kind) {
    case 'image': return root.id
    case 'cache': return root.key
    case 'mount': return root.name
  }
}

function passes(root: Root, { policy: { filters }, labelsOf }: Selecting): boolean {
  const { beforeMs, name, labels, isDangling, kind } = filters
  if (kind !== undefined && root.kind !== kind) return false
  if (beforeMs !== undefined && (root.kind === 'image' ? root.createdAtMs : root.usedAtMs) >= beforeMs) return false
  if (root.kind !== 'image') return labels === undefined && name === undefined && isDangling !== false
  if (isDangling !== undefined && (root.names.length === 0) !== isDangling) return false
  if (name !== undefined && (root.names.length === 0 || !root.names.every(name))) return false
  return labels === undefined || labels(labelsOf(root))
}

/** Ids of images that have one of the newest names of a repository. */
function newestOfEach(roots: readonly Root[], count: number): Set<string> {
  const repositories = new Map<string, StockedImage[]>()
  for (const root of roots) {
    if (root.kind !== 'image') continue
    for (const repository of new Set(root.names.map(repositoryOf))) repositories.set(repository, [...repositories.get(repository) ?? [], root])
  }
  return new Set([...repositories.values()].flatMap((images) => images
    .toSorted((one, other) => other.createdAtMs - one.createdAtMs || compareText(one.id, other.id))
    .slice(0, count)
    .map(({ id }) => id)))
}

/** Of a canonical name: what stands before tag and digest. */
function repositoryOf(name: string): string {
  const [untagged = ''] = name.split('@')
  const colon = untagged.lastIndexOf(':')
  return colon > untagged.lastIndexOf('/') ? untagged.slice(0, colon) : untagged
}

function layersOfImages({ layers }: Inventory, roots: readonly Root[]): Set<string> {
  const found = new Set<string>()
  for (const root of roots) {
    if (root.kind !== 'image' || root.names.length === 0) continue
    for (const top of root.tops) for (let chainId: string | undefined = top; chainId !== undefined && !found.has(chainId); chainId = layers.get(chainId)?.parent) found.add(chainId)
  }
  return found
}

function compareText(one: string, other: string): number {
  return one < other ? -1 : Number(one > other)
}
