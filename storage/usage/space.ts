import { statfsSync } from 'node:fs'

/** Bytes and inodes, as everything in the store is counted. */
export interface Size {
  readonly bytes: number
  readonly inodes: number
}

export const nothing: Size = { bytes: 0, inodes: 0 }

export function addSizes(sizes: Iterable<Size>): Size {
  let [bytes, inodes] = [0, 0]
  for (const size of sizes) {
    bytes += size.bytes
    inodes += size.inodes
  }
  return { bytes, inodes }
}

export function subtractSizes(from: Size, taken: Size): Size {
  return { bytes: from.bytes - taken.bytes, inodes: from.inodes - taken.inodes }
}

/** The filesystem that a store lies on. */
export interface Space {
  readonly total: Size
  readonly free: Size
  /** Filesystems that make inodes as they need them count none, and cannot run out of them. */
  readonly countsInodes: boolean
}

export function readSpace(root: string): Space {
  const { bsize, blocks, bavail, files, ffree } = statfsSync(root)
  return { total: { bytes: blocks * bsize, inodes: files }, free: { bytes: bavail * bsize, inodes: ffree }, countsInodes: files > 0 }
}

/** What is about to run out. */
export interface LowSpace {
  readonly resource: 'bytes' | 'inodes'
  readonly free: number
  readonly total: number
}

/** Below this share of the whole a build is warned. */
export const defaultFloor = 0.05

export function findLowSpace({ total, free, countsInodes }: Space, floor: number = defaultFloor): LowSpace[] {
  const resources = countsInodes ? ['bytes', 'inodes'] as const : ['bytes'] as const
  return resources.filter((resource) => free[resource] < total[resource] * floor).map((resource) => ({ resource, free: free[resource], total: total[resource] }))
}
