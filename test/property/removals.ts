/**
 * npm run removal-property [-- --cases 1000 --seed 1 --json]
 * Random stores (shared layers, images of one and of several platforms, cache entries, cache mounts, leftovers, ages before and after now, what
 * another process uses) and random policies, as the command line takes them. Then: what the dry run says is what the real run says, is what is
 * gone from the store's folder as a walk of it sees, and is what the filesystem has more of; df accounts for every byte before and after; fsck finds
 * nothing. Half of the stores keep layers as directories, half as indexes. Everything lies on an ext4 of its own, in a mount namespace of its own.
 */
/* eslint-disable no-console -- a program that reports to whoever started it */
import { execFileSync } from 'node:child_process'
import { lstatSync, mkdirSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import fc from 'fast-check'
import type { DiskUsage, GcReport, Size, Store } from '../../storage/index.ts'
import { addSizes, fsck, gc, measureUsage, openStore } from '../../storage/index.ts'
import { runWithOwnMounts } from '../support/own-mounts.ts'
import { makePolicies, makeRandomStore, useRandomStore } from '../support/random-store.ts'
import type { RandomRemoval } from '../support/store-arbitraries.ts'
import { randomRemoval } from '../support/store-arbitraries.ts'
import { task } from '../support/streams.ts'

const { values } = parseArgs({ options: { cases: { type: 'string', default: '1000' }, seed: { type: 'string', default: '1' }, json: { type: 'boolean', default: false }, inside: { type: 'string' } } })

interface Failure { readonly case: number; readonly problems: readonly unknown[]; readonly plan: RandomRemoval }
interface Tally { done: number; removed: number; bytes: number; inodes: number; unmet: number; readonly failures: Failure[] }

if (values.inside === undefined) runWithOwnMounts(import.meta.filename, 'removals')
else await run(values.inside)

async function run(folder: string): Promise<void> {
  const [image, disk] = [join(folder, 'image'), join(folder, 'disk')]
  mkdirSync(disk)
  execFileSync('truncate', ['-s', '1G', image])
  execFileSync('mkfs.ext4', ['-q', '-F', image])
  execFileSync('mount', ['-o', 'loop', image, disk])
  const tally: Tally = { done: 0, removed: 0, bytes: 0, inodes: 0, unmet: 0, failures: [] }
  const plans = fc.sample(randomRemoval, { numRuns: Number(values.cases), seed: Number(values.seed) })
  for (const [number, plan] of plans.entries()) {
    const problems = await tryOne(join(disk, String(number)), plan, tally).catch((error: unknown) => [error instanceof Error ? error.stack : error])
    if (problems.length > 0) tally.failures.push({ case: number, problems, plan })
    tally.done += 1
    rmSync(join(disk, String(number)), { recursive: true, force: true })
    if (!values.json && tally.done % 50 === 0) console.log(`${tally.done} cases, ${tally.failures.length} failed`)
  }
  const { failures, ...sums } = tally
  console.log(values.json ? JSON.stringify(tally) : [...failures.map((failure) => JSON.stringify(failure)), JSON.stringify({ ...sums, failed: failures.length })].join('\n'))
  process.exitCode = failures.length === 0 ? 0 : 1
  execFileSync('umount', ['-l', disk])
}

/** @returns what is wrong */
async function tryOne(root: string, plan: RandomRemoval, tally: Tally): Promise<unknown[]> {
  await makeRandomStore(root, plan.store, tally.done % 2 === 0 ? 'overlay' : 'erofs')
  const problems: unknown[] = []
  const expectSame = (what: string, one: unknown, other: unknown): void => { if (!isDeepStrictEqual(one, other)) problems.push({ what, one, other }) }
  {
    await using _used = await useRandomStore(root, plan.store)
    await using store = await openStore(root)
    const policies = await makePolicies(store, plan.policies)
    const usage = await measureUsage(store, task)
    expectSame('df and walk before', usage.total, occupied(root))
    const predicted = await gc(store, task, { dryRun: true, policies })
    const untouched = await measureUsage(store, task)
    expectSame('dry run changed something', minus(untouched.total, untouched.own), minus(usage.total, usage.own))
    const before = look(root)
    const report = await gc(store, task, { dryRun: false, policies })
    const after = look(root)
    expectSame('dry run and run', predicted, report)
    expectSame('run and walk', { bytes: report.bytes, inodes: report.inodes }, minus(before.objects, after.objects))
    expectSame('walk and filesystem', minus(before.all, after.all), minus(after.free, before.free))
    expectSame('df and walk after', (await measureUsage(store, task)).total, after.all)
    await checkAfterwards(store, { usage, report, expectSame })
    tally.removed += report.removed.length
    tally.bytes += report.bytes
    tally.inodes += report.inodes
    tally.unmet += report.unmet.length
  }
  return problems
}

async function checkAfterwards(store: Store, { usage, report, expectSame }: { readonly usage: DiskUsage; readonly report: GcReport; readonly expectSame: (what: string, one: unknown, other: unknown) => void }): Promise<void> {
  const inUse = new Set([...usage.perImage.map(({ holder }) => holder), ...usage.perCacheEntry.map(({ holder }) => holder), ...usage.perMount].filter(({ isInUse }) => isInUse)
    .map((root) => root.kind === 'image' ? root.id : root.kind === 'cache' ? root.key : root.name))
  expectSame('in use and removed', report.removed.filter(({ id }) => inUse.has(id)), [])
  expectSame('left for another run', await gc(store, task, { dryRun: true }), { removed: [], layers: 0, blobs: 0, inodes: 0, bytes: 0, unmet: [] })
  expectSame('fsck', (await fsck(store, task)).findings, [])
}

interface Look { readonly all: Size; readonly objects: Size; readonly free: Size }

function look(root: string): Look {
  execFileSync('sync', ['-f', root])
  const { bsize, bfree, ffree } = statfsSync(root)
  const objects = ['content/blobs/sha256', 'layers', 'snapshots', 'sessions', 'incoming', 'trash', 'mounts', 'quarantine', 'reserve']
  return { all: occupied(root), objects: addSizes(objects.map((folder) => minus(occupied(join(root, folder)), self(join(root, folder))))), free: { bytes: bfree * bsize, inodes: ffree } }
}

/** With all below it, each inode once. */
function occupied(path: string, seen = new Set<number>()): Size {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined || seen.has(stats.ino)) return { bytes: 0, inodes: 0 }
  seen.add(stats.ino)
  const own = { bytes: stats.blocks * 512, inodes: 1 }
  return stats.isDirectory() ? addSizes([own, ...readdirSync(path).map((name) => occupied(join(path, name), seen))]) : own
}

function self(path: string): Size {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  return stats === undefined ? { bytes: 0, inodes: 0 } : { bytes: stats.blocks * 512, inodes: 1 }
}

function minus(one: Size, other: Size): Size {
  return { bytes: one.bytes - other.bytes, inodes: one.inodes - other.inodes }
}
