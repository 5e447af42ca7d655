import { lstatSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Task } from '../../core/task.ts'
import { parseDigest } from '../../oci/digest.ts'
import { readText } from '../records/database.ts'
import { dirIdOfLayerName } from '../root/layout.ts'
import type { StoreParts } from '../store-parts.ts'
import { findLeftovers, listBlobFiles, listNames } from '../upkeep/garbage.ts'
import type { Inventory } from './inventory.ts'
import { measureFile, measurePaths } from './measure-paths.ts'
import type { Size } from './space.ts'
import { addSizes } from './space.ts'

/** Everything in the store's folder but the layers, blobs and cache mounts on record. */
export interface Overhead {
  /** What running processes are making, and what has arrived of blobs: kept for a day to be gone on with. */
  readonly unfinished: Size
  /** What the next gc frees whatever the policies say. */
  readonly leftovers: Size
  /** What `fsck --repair` found damaged. Kept until somebody deletes it. */
  readonly quarantine: Size
  /** Room that is given back when the disk is full. */
  readonly reserve: Size
  /** The database, the index, locks, and folders themselves. */
  readonly own: Size
  /** Other folders, which the store keeps for those who use it: reports of builds, logs of containers, journals of uploads. */
  readonly records: readonly FolderUsage[]
}

export interface FolderUsage {
  readonly folder: string
  readonly size: Size
}

/** Where all that lies, each path once. */
export interface OverheadPaths extends Readonly<Record<'unfinished' | 'leftovers' | 'quarantine' | 'reserve' | 'own' | 'records', readonly string[]>> {
  /** Of which only the directory itself counts. */
  readonly folders: readonly string[]
}

/** In the transaction that takes the inventory: both look at one state. */
export function findOverhead({ layout, database }: StoreParts, inventory: Inventory, dead: readonly string[]): OverheadPaths {
  const leftovers = findLeftovers(layout, database, dead)
  const gone = new Set(leftovers)
  const dirs = new Set(database.all('SELECT dir FROM layers WHERE dir IS NOT NULL').map((row) => readText(row, 'dir')))
  const mounts = new Set(inventory.mounts.map(({ name }) => name))
  const below = (folder: string): string[] => listNames(folder).map((name) => join(folder, name))
  const unfinished = [
    ...listBlobFiles(layout).filter(({ digest }) => digest === undefined || !inventory.blobs.has(parseDigest(digest))).map(({ path }) => path),
    ...below(layout.layers).filter((path) => !dirs.has(dirIdOfLayerName(basename(path)))),
    ...below(layout.mounts).filter((path) => !mounts.has(basename(path))),
    ...[layout.snapshots, layout.sessions, layout.incoming].flatMap(below),
  ].filter((path) => !gone.has(path))
  const blobs = join(layout.content, 'blobs')
  const folders = [layout.root, layout.content, blobs, ...below(blobs), layout.layers, layout.mounts, layout.snapshots, layout.sessions, layout.incoming, layout.trash]
  const known = new Set([...folders, layout.quarantine, layout.reserve, layout.locks])
  const others = below(layout.root).filter((path) => !known.has(path))
  const isFolder = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true
  return {
    unfinished, leftovers, folders,
    quarantine: [layout.quarantine],
    reserve: [layout.reserve],
    own: [layout.locks, ...others.filter((path) => !isFolder(path)), ...below(layout.content).filter((path) => path !== blobs)],
    records: others.filter(isFolder),
  }
}

export async function measureOverhead(root: string, paths: OverheadPaths, task: Task): Promise<Overhead> {
  const measure = (which: readonly string[]): Promise<Size> => measurePaths(root, which, task)
  const records: FolderUsage[] = []
  for (const path of paths.records) records.push({ folder: basename(path), size: await measure([path]) })
  return {
    unfinished: await measure(paths.unfinished),
    leftovers: await measure(paths.leftovers),
    quarantine: await measure(paths.quarantine),
    reserve: await measure(paths.reserve),
    own: addSizes([await measure(paths.own), ...paths.folders.map(measureFile)]),
    records,
  }
}
