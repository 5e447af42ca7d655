import { join } from 'node:path'
import { afterEach, expect } from 'vitest'
import type { Store } from '../../storage/index.ts'
import { fsck, openStore } from '../../storage/index.ts'
import { task } from './streams.ts'

export interface Stores {
  /** A path where no store is yet. */
  newRoot(): string
  open(root?: string): Promise<Store>
}

/** Stores below a folder. After each test every one is closed, and opened once more: fsck must find nothing. */
export function useStores(folder: string): Stores {
  const opened: Store[] = []
  const roots = new Set<string>()
  let count = 0
  const newRoot = (): string => {
    count += 1
    return join(folder, `store-${count}`)
  }
  afterEach(async () => {
    for (const store of opened.splice(0)) await store[Symbol.asyncDispose]()
    for (const root of roots) await expectClean(root)
    roots.clear()
  })
  return {
    newRoot,
    open: async (root = newRoot()) => {
      const store = await openStore(root)
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
