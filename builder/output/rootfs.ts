import { randomUUID } from 'node:crypto'
import { lstatSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Task } from '../../core/task.ts'
import type { ChainId } from '../../oci/digest.ts'
import type { ChangesetEntry, Store } from '../../storage/index.ts'
import { compareEntryPaths, exportTree, packChangeset } from '../../storage/index.ts'
import { joinPath } from '../copy/select.ts'
import { walkRoot } from '../copy/walk.ts'
import { OutputConflict } from '../errors.ts'
import { makeOutputFolder } from './output-file.ts'
import { viewEntries } from './view-entries.ts'

/** The whole root filesystem as a tar. */
export async function rootfsTar(store: Store, top: ChainId | undefined, task: Task): Promise<AsyncIterable<Uint8Array>> {
  return packChangeset(await rootfsEntries(store, top), task)
}

/**
 * Merges the root filesystem into a folder, which is made if it is missing: files there give way to files of the same
 * path, each at once, and others stay. Nothing is changed when it cannot be written in whole.
 * @throws {OutputConflict} where a folder would give way to something else, or something else to a folder
 */
export async function writeRootfs(store: Store, { top, folder }: { top: ChainId | undefined; folder: string }, task: Task): Promise<void> {
  const isNew = makeOutputFolder(folder)
  // Inside, so that it is on the same filesystem even where the folder is a mount point.
  const staging = join(folder, `.tsbuild-${randomUUID()}`)
  mkdirSync(staging, { mode: 0o700 })
  try {
    await exportTree(staging, await rootfsTar(store, top, task), task)
    refuseConflicts(Buffer.from(staging), Buffer.from(folder))
    moveInto(Buffer.from(staging), Buffer.from(folder))
  } finally {
    rmSync(staging, { recursive: true, force: true })
    if (isNew && readdirSync(folder).length === 0) rmdirSync(folder)
  }
}

async function rootfsEntries(store: Store, top: ChainId | undefined): Promise<ChangesetEntry[]> {
  const view = store.layers.view(top)
  const root = await view.lstat('/')
  if (root === undefined) throw new TypeError('a root filesystem has no root')
  const walked = await walkRoot(view, { path: Buffer.from('/'), followed: Buffer.from('/'), entry: root })
  return viewEntries(view, walked.slice(1).sort((one, other) => compareEntryPaths(one.relative, other.relative)))
}

function refuseConflicts(from: Buffer, to: Buffer): void {
  for (const entry of readdirSync(from, { withFileTypes: true, encoding: 'buffer' })) {
    const target = joinPath(to, entry.name)
    const there = lstatSync(target, { throwIfNoEntry: false })
    if (there === undefined) continue
    if (there.isDirectory() !== entry.isDirectory()) throw new OutputConflict(target.toString(), there.isDirectory() ? 'it is a folder, and the image has none there' : 'it is no folder, and the image has one there')
    if (entry.isDirectory()) refuseConflicts(joinPath(from, entry.name), target)
  }
}

function moveInto(from: Buffer, to: Buffer): void {
  for (const entry of readdirSync(from, { withFileTypes: true, encoding: 'buffer' })) {
    const target = joinPath(to, entry.name)
    if (entry.isDirectory() && lstatSync(target, { throwIfNoEntry: false }) !== undefined) moveInto(joinPath(from, entry.name), target)
    else renameSync(joinPath(from, entry.name), target)
  }
}
