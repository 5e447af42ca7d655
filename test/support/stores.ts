import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect } from 'vitest'
import type { FormatPolicy, LayerFormatName, StorageDriverName, Store } from '../../storage/index.ts'
import { fsck, openStore, probeErofs } from '../../storage/index.ts'
import { task } from './streams.ts'

export interface Stores {
  /** A path where no store is yet. */
  newRoot(): string
  open(root?: string): Promise<Store>
  /** What a layer of so many files and directories takes in these stores. */
  inodes(unpacked: number): number
  /** Bytes of the longest name that a process can give a file in a snapshot. */
  readonly longestName: number
}

const support = await probeErofs(tmpdir())

/** How a store keeps somebody else's layers that is opened without saying how. Asked each time, since a test may change what the environment says. */
export function formatOfArchives(): LayerFormatName {
  const asked = process.env['TSBUILD_LAYER_FORMAT']
  if (asked === 'overlay' || asked === 'erofs') return asked
  return support.kind === 'available' && support.backing === 'file' ? 'erofs' : 'overlay'
}

/** What somebody else's layer of so many files and directories takes. */
export function inodesOfLayer(unpacked: number, format = formatOfArchives()): number {
  return format === 'erofs' ? 2 : unpacked
}

/** Stores below a folder. After each test every one is closed, and opened once more: fsck must find nothing. */
export function useStores(folder: string, format?: FormatPolicy, driver?: StorageDriverName): Stores {
  const opened: Store[] = []
  const roots = new Set<string>()
  let count = 0
  const newRoot = (): string => {
    count += 1
    return join(folder, `store-${format ?? ''}-${driver ?? ''}-${count}`)
  }
  afterEach(async () => {
    for (const store of opened.splice(0)) await store[Symbol.asyncDispose]()
    for (const root of roots) await expectClean(root)
    roots.clear()
  })
  return {
    newRoot,
    inodes: (unpacked) => inodesOfLayer(unpacked, format === 'auto' ? undefined : format),
    // It keeps room for its own prefix of deleted names.
    longestName: driver === 'fuse-overlayfs' ? 251 : 255,
    open: async (root = newRoot()) => {
      const store = await openStore(root, { ...(format === undefined ? {} : { format }), ...(driver === undefined ? {} : { driver }) })
      opened.push(store)
      roots.add(root)
      return store
    },
  }
}

export async function expectClean(root: string): Promise<void> {
  await using store = await openStore(root)
  const report = await fsck(store, task)
  expect(report.findings).toEqual([])
}
