import { createHash } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { getAddon } from '../../native/index.ts'

/**
 * One line for each entry, with everything that a layer carries of it: equal trees give equal lists. It shares no code
 * with what it is to judge, and knows nothing of layers: run it on a mounted tree.
 */
export function walkTree(root: string): string[] {
  const found: Walk = { root: Buffer.from(`${root}/`), lines: [], links: new Map() }
  walk(Buffer.from('.'), found)
  return found.lines
}

interface Walk {
  readonly root: Buffer
  readonly lines: string[]
  readonly links: Map<bigint, string>
}

function walk(path: Buffer, found: Walk): void {
  const full = Buffer.concat([found.root, path])
  const stats = lstatSync(full, { bigint: true, throwIfNoEntry: false })
  const name = path.toString('latin1')
  if (stats === undefined) {
    // Overlayfs lists a whiteout where no other layer has the directory.
    found.lines.push(`${name} is listed and not there`)
    return
  }
  if (stats.isSocket()) return
  const first = stats.isDirectory() || stats.nlink === 1n ? undefined : found.links.get(stats.ino)
  if (first !== undefined) {
    found.lines.push(`${name} = ${first}`)
    return
  }
  found.links.set(stats.ino, name)
  found.lines.push([name, describe(stats, name === '.'), content(full, stats), xattrs(full)].filter((part) => part !== '').join(' '))
  if (!stats.isDirectory()) return
  const names = readdirSync(full, 'buffer').sort((one, other) => Buffer.compare(one, other))
  for (const child of names) walk(Buffer.concat([path, Buffer.from('/'), child]), found)
}

function describe(stats: BigIntStats, isRoot: boolean): string {
  // A layer says nothing of the root's own time.
  const time = isRoot ? '' : ` @${stats.mtimeNs / 1_000_000_000n}`
  return `${stats.mode.toString(8)} ${stats.uid}:${stats.gid}${time}`
}

function content(path: Buffer, stats: BigIntStats): string {
  if (stats.isFile()) return `${stats.size}:${createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16)}`
  if (stats.isSymbolicLink()) return `-> ${readlinkSync(path, 'latin1')}`
  return stats.isCharacterDevice() || stats.isBlockDevice() ? `dev ${stats.rdev}` : ''
}

function xattrs(path: Buffer): string {
  return getAddon().readXattrs(path).map(([name, value]) => `${name}=${value.toString('hex')}`).sort().join(' ')
}
