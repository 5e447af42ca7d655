import type { Task } from '../../core/task.ts'
import type { LayerEntry } from './layer-entry.ts'
import type { TreeNode, Waste } from './merged-tree.ts'
import { MergedTree } from './merged-tree.ts'
import type { OpenedLayers } from './open-layers.ts'

/** A layer with everything in it. */
export interface ExaminedLayer {
  readonly diffId: string
  readonly step: string
  readonly entries: readonly LayerEntry[]
}

export interface ExaminedImage {
  readonly name: string
  readonly layers: readonly ExaminedLayer[]
  readonly tree: MergedTree
}

/** Reads every layer once, of several images those they share. Entries may read contents until the store is closed. */
export async function examineImages(images: readonly OpenedLayers[], task: Task): Promise<ExaminedImage[]> {
  const read = new Map<string, LayerEntry[]>()
  const examined: ExaminedImage[] = []
  for (const image of images) examined.push(await examineImage(image, read, task))
  return examined
}

async function examineImage(image: OpenedLayers, read: Map<string, LayerEntry[]>, task: Task): Promise<ExaminedImage> {
  const tree = new MergedTree()
  const layers: ExaminedLayer[] = []
  for (const [index, { diffId, identity, step, readEntries }] of image.layers.entries()) {
    const entries = read.get(identity) ?? await readEntries(task)
    read.set(identity, entries)
    tree.apply(entries, index)
    layers.push({ diffId, step, entries })
  }
  return { name: image.name, layers, tree }
}

export interface TreeDifference {
  readonly path: string
  readonly kind: 'added' | 'removed' | 'changed'
  /** What of it differs: `content`, `mode`, `owner`, `type`, `target`, `xattrs`. */
  readonly what: readonly string[]
  readonly before: TreeNode | undefined
  readonly after: TreeNode | undefined
}

/** What one root filesystem has and another has not. Times are no difference: every build has its own. */
export function compareTrees(one: MergedTree, other: MergedTree): TreeDifference[] {
  const differences: TreeDifference[] = []
  for (const before of one.list()) {
    const after = other.find(before.path)
    const what = after === undefined || after.entry === before.entry ? [] : differingParts(before.entry, after.entry)
    if (after === undefined) differences.push({ path: before.path, kind: 'removed', what, before, after })
    else if (what.length > 0) differences.push({ path: before.path, kind: 'changed', what, before, after })
  }
  for (const after of other.list()) {
    if (one.find(after.path) === undefined) differences.push({ path: after.path, kind: 'added', what: [], before: undefined, after })
  }
  return differences.sort((first, second) => Buffer.compare(Buffer.from(first.path), Buffer.from(second.path)))
}

function differingParts(one: LayerEntry, other: LayerEntry): string[] {
  const content = (entry: LayerEntry): unknown => [entry.digest, entry.sizeBytes]
  const parts: readonly (readonly [string, unknown, unknown])[] = [
    ['type', kindOf(one), kindOf(other)], ['content', content(one), content(other)], ['mode', one.mode, other.mode], ['owner', [one.uid, one.gid], [other.uid, other.gid]],
    ['target', one.type === 'symlink' ? one.target : '', other.type === 'symlink' ? other.target : ''], ['xattrs', Object.entries(one.xattrs).sort(), Object.entries(other.xattrs).sort()],
  ]
  return parts.filter(([, a, b]) => JSON.stringify(a) !== JSON.stringify(b)).map(([name]) => name)
}

/** Which of its names a file has its bytes under is no difference. */
function kindOf({ type }: LayerEntry): string {
  return type === 'hard-link' ? 'file' : type
}

/** What each layer did to a path. */
export interface PathEvent {
  readonly layer: number
  readonly step: string
  readonly did: 'added' | 'changed' | 'deleted'
  readonly entry: LayerEntry
  /** Nothing later touched it. */
  readonly isVisible: boolean
}

export function tracePath({ layers, tree }: ExaminedImage, path: string): PathEvent[] {
  const events: PathEvent[] = []
  const last = tree.find(path)
  let isThere = false
  for (const [layer, { step, entries }] of layers.entries()) {
    const deletion = entries.find((entry) => isThere && deletes(entry, path))
    if (deletion !== undefined) {
      events.push({ layer, step, did: 'deleted', entry: deletion, isVisible: false })
      isThere = false
    }
    const entry = entries.findLast((candidate) => candidate.path === path && candidate.type !== 'whiteout' && candidate.type !== 'opaque')
    if (entry === undefined) continue
    events.push({ layer, step, did: isThere ? 'changed' : 'added', entry, isVisible: last?.layer === layer })
    isThere = true
  }
  return events
}

function deletes(entry: LayerEntry, path: string): boolean {
  if (entry.type === 'whiteout') return path === entry.path || path.startsWith(`${entry.path}/`)
  const isBelow = path.startsWith(entry.path === '/' ? '/' : `${entry.path}/`) && path !== entry.path
  // What is no directory hides what a directory of its name had in it.
  return isBelow && entry.type !== 'directory'
}

export interface WasteReport {
  readonly items: readonly Waste[]
  readonly bytes: number
  readonly inodes: number
  /** Of all files in all layers. */
  readonly totalBytes: number
  readonly totalInodes: number
}

/** The largest first. */
export function measureWaste({ layers, tree }: Omit<ExaminedImage, 'name'>): WasteReport {
  const items = [...tree.waste].sort((one, other) => other.bytes - one.bytes || other.inodes - one.inodes || Buffer.compare(Buffer.from(one.path), Buffer.from(other.path)))
  const stored = layers.flatMap(({ entries }) => entries.filter(({ type }) => type !== 'opaque' && type !== 'hard-link'))
  return {
    items,
    bytes: items.reduce((sum, { bytes }) => sum + bytes, 0),
    inodes: items.reduce((sum, { inodes }) => sum + inodes, 0),
    totalBytes: stored.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    totalInodes: stored.length,
  }
}
