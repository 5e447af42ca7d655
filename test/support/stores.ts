import { join } from 'node:path'
import { afterEach, expect } from 'vitest'
import type { LayerFormatName, StorageDriverName, Store } from '../../storage/index.ts'
import { fsck, openStore } from '../../storage/index.ts'
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

/** What a layer of so many files and directories takes in a store that is opened without saying how. */
export function inodesOfLayer(unpacked: number, format = process.env['TSBUILD_LAYER_FORMAT']): number {
  return format === 'erofs' ? 2 : unpacked
}

/** Stores below a folder. After each test every one is closed, and opened once more: fsck must find nothing. */
export function useStores(folder: string, format?: LayerFormatName, driver?: StorageDriverName): Stores {
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
    inodes: (unpacked) => inodesOfLayer(unpacked, format),
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
