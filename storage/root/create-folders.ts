import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { makeFolder } from '../../core/make-folder.ts'
import { getAddon, randomId } from '../../native/index.ts'
import { NotOurStore, StoreTooNew, StoreUnusable } from './errors.ts'
import { fillReserve } from '../upkeep/reserve.ts'
import { explainFull } from './explain-full.ts'
import type { Layout } from './layout.ts'
import { formatVersion } from './layout.ts'

/**
 * Makes the folders of a store where there is none yet. Nothing waits meanwhile, so that in one process a store is made once.
 * @throws {StoreTooNew} @throws {NotOurStore} @throws {StoreUnusable} @throws {StorageFull}
 */
export function createFolders(layout: Layout): void {
  try {
    create(layout)
  } catch (error) {
    if (isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOTDIR', 'EEXIST')) throw new StoreUnusable(layout.root, 'its folders cannot be made there; TSBUILD_ROOT can name another place', { cause: error })
    throw explainFull(layout.root, error)
  }
}

function create(layout: Layout): void {
  const version = readVersion(layout)
  if (version === formatVersion) {
    checkOwner(layout)
    return
  }
  if (version !== undefined) throw new StoreTooNew(layout.root, version)
  makeFolder(layout.root, 0o700)
  checkOwner(layout)
  // What another process is making begins with its content.
  const there = readdirSync(layout.root)
  if (there.length > 0 && !there.includes(basename(layout.content))) throw new NotOurStore(layout.root, 'the directory is neither empty nor a store')
  // Layers hold setuid files: nobody else may get at them by a path.
  chmodSync(layout.root, 0o700)
  const blobs = join(layout.content, 'blobs', 'sha256')
  for (const folder of [blobs, layout.layers, layout.snapshots, layout.sessions, layout.trash, layout.locks, layout.reserve]) {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }
  // Only a matter of speed (0047): filesystems that do not know it say so.
  for (const folder of [layout.layers, layout.snapshots]) getAddon().spreadChildren(folder)
  writeDurably(join(layout.content, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  fillReserve(layout)
  for (const folder of [dirname(blobs), layout.content, layout.root]) flush(folder)
  nameVersion(layout)
}

/** Comes last: with the version in place the store counts as made. Several processes may be making it. */
function nameVersion(layout: Layout): void {
  const unnamed = join(layout.trash, randomId())
  writeDurably(unnamed, `${formatVersion}\n`)
  try {
    renameSync(unnamed, layout.version)
  } catch (error) {
    // Who empties the trash has the store open, so that it is made.
    if (!isErrno(error, 'ENOENT')) throw error
  }
  flush(layout.root)
}

function writeDurably(path: string, text: string): void {
  writeFileSync(path, text, { flush: true })
}

function flush(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function readVersion(layout: Layout): string | undefined {
  try {
    return readFileSync(layout.version, 'utf8').trim()
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    if (isErrno(error, 'EACCES')) checkOwner(layout)
    throw error
  }
}

function checkOwner(layout: Layout): void {
  const { uid } = statSync(layout.root)
  const own = process.geteuid?.()
  if (uid !== own) throw new NotOurStore(layout.root, `it belongs to user ${uid}, and this process runs as ${own ?? 'nobody known'}; TSBUILD_ROOT can name another place`)
}
