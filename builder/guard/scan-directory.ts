import type { Dirent } from 'node:fs'
import { closeSync, constants, fstatSync, openSync, readdirSync, readlinkSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { readXattrs } from '../../storage/index.ts'
import { scanOpenFile } from './file-scanner.ts'
import type { GzipBudget } from './gzip-scanner.ts'
import type { Leak } from './leak.ts'
import { leaksAt } from './leak.ts'
import { maskText } from './log-mask.ts'
import type { SecretPattern } from './secret-patterns.ts'
import { SecretScanner } from './secret-search.ts'

/** Enough to see what is wrong. */
export const maxLeaks = 5

/**
 * Searches every file of a tree, its name, link target and extended attributes. Nothing else may change the tree
 * meanwhile. Each directory is opened below its own, so depth is no limit and no link is followed.
 */
export async function scanDirectory(path: string, { patterns, budget }: { readonly patterns: readonly SecretPattern[]; readonly budget: GzipBudget }, signal: AbortSignal): Promise<Leak[]> {
  const leaks: Leak[] = []
  const walk = async (fd: number, shown: string): Promise<void> => {
    const folder = `/proc/self/fd/${fd}`
    for (const entry of readdirSync(folder, { withFileTypes: true, encoding: 'buffer' })) {
      if (leaks.length >= maxLeaks) return
      signal.throwIfAborted()
      const child = Buffer.concat([Buffer.from(`${folder}/`), entry.name])
      const place = maskText(`${shown}/${entry.name.toString()}`, patterns)
      leaks.push(...await scanEntry({ child, entry, place, patterns, budget }))
      if (entry.isFile()) await setImmediate()
      if (entry.isDirectory()) await within(child, constants.O_DIRECTORY, (inner) => walk(inner, place))
    }
  }
  await within(Buffer.from(path), constants.O_DIRECTORY, (fd) => walk(fd, ''))
  return leaks
}

interface Scanned {
  readonly child: Buffer
  readonly entry: Dirent<Buffer>
  readonly place: string
  readonly patterns: readonly SecretPattern[]
  readonly budget: GzipBudget
}

async function scanEntry({ child, entry, place, patterns, budget }: Scanned): Promise<Leak[]> {
  return [
    ...scanBytes(`name of "${place}"`, [entry.name], patterns),
    ...(entry.isSymbolicLink() ? scanBytes(`link target of "${place}"`, [readlinkSync(child, { encoding: 'buffer' })], patterns) : []),
    ...scanBytes(`extended attributes of "${place}"`, [...readXattrs(child)].map(([name, value]) => Buffer.concat([Buffer.from(`${name}=`), value])), patterns),
    ...(entry.isFile() ? await scanFile(`file "${place}"`, child, { patterns, budget }) : []),
  ]
}

export function scanBytes(place: string, values: readonly Uint8Array[], patterns: readonly SecretPattern[]): Leak[] {
  return values.flatMap((value) => {
    const scanner = new SecretScanner(patterns)
    scanner.add(value)
    return leaksAt(place, scanner.found)
  })
}

async function scanFile(place: string, path: Buffer, search: { readonly patterns: readonly SecretPattern[]; readonly budget: GzipBudget }): Promise<Leak[]> {
  return within(path, constants.O_NONBLOCK, (fd) => scanOpenFile(fd, { place, start: 0, sizeBytes: fstatSync(fd).size }, search))
}

async function within<T>(path: Buffer, flags: number, work: (fd: number) => Promise<T>): Promise<T> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | flags)
  try {
    return await work(fd)
  } finally {
    closeSync(fd)
  }
}
