import { existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { createTask } from '../../core/task.ts'
import { FormatUnavailable } from '../errors.ts'
import { HelperDied, TreeFailure } from '../tree/errors.ts'
import { emptyChangeset, emptyLayer } from '../layer/changeset/empty-changeset.ts'
import { explainFull } from '../root/explain-full.ts'
import { removeTrees } from '../tree/upkeep-trees.ts'
import { tryMount } from './mount-layers.ts'
import { findMountObstacle } from './mount-rights.ts'
import { writeIndex } from './write-index.ts'

/** How the kernel gets at the files of an EROFS layer. */
export type ErofsBacking = 'file' | 'loop'

export type ErofsSupport =
  | { readonly kind: 'available'; readonly backing: ErofsBacking }
  | { readonly kind: 'unavailable'; readonly reason: string }

/**
 * Whether EROFS layers below `folder` can be mounted and stacked, found out by doing it where nobody sees it: straight from
 * the files as Linux 6.12 and later can, else by loop devices. Before 6.4 neither works: EROFS had no blocks of a tar's 512 bytes.
 * @throws {StorageFull}
 */
export async function probeErofs(folder: string): Promise<ErofsSupport> {
  const obstacle = findMountObstacle()
  if (obstacle !== undefined) return { kind: 'unavailable', reason: obstacle }
  for (;;) {
    const support = await tryImage(folder)
    if (support !== undefined) return support
  }
}

/** @returns undefined when somebody else, who empties the folder, took away what was tried with */
async function tryImage(folder: string): Promise<ErofsSupport | undefined> {
  const made: string[] = []
  try {
    const trial = mkdtempSync(join(folder, 'erofs-trial-'))
    made.push(trial)
    const [tar, index] = [join(trial, 'tar'), join(trial, 'index')]
    writeFileSync(tar, emptyChangeset)
    made.push(tar)
    await writeIndex({ root: folder, tar, index, diffId: emptyLayer.diffId, makesWhiteouts: false, maxBytes: 0, maxSeconds: 60, lowers: [] }, createTask())
    made.push(index)
    const failures: string[] = []
    for (const backing of ['file', 'loop'] as const) {
      const problem = await findProblem(() => tryMount([{ kind: 'erofs', path: index, tar, backing }], createTask()))
      if (problem === undefined) return { kind: 'available', backing }
      failures.push(`${backing === 'file' ? 'a mount of the file' : 'a mount by loop devices'} failed with ${problem}`)
    }
    return made.every((path) => existsSync(path)) ? { kind: 'unavailable', reason: `on Linux ${release()} and this filesystem ${failures.join(', ')}` } : undefined
  } catch (error) {
    if (!made.every((path) => existsSync(path))) return undefined
    throw explainFull(folder, error)
  } finally {
    if (made.length > 0) await removeTrees(folder, made.slice(0, 1), createTask())
  }
}

async function findProblem(work: () => Promise<void>): Promise<string | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (error instanceof TreeFailure) return error.errnoName
    if (error instanceof HelperDied) return error.message
    throw error
  }
}

/** Of a store that has none when it is opened. */
export const notTried: ErofsSupport = { kind: 'unavailable', reason: 'whether this machine can was not tried, because the store had none when it was opened' }

/** The same for layers that are there: others of the store may be unpacked, and these can be. */
export function toMountStored(support: ErofsSupport): ErofsSupport {
  return support.kind === 'available' ? support : { ...support, reason: `${support.reason}; "tsbuild store convert --to overlay" unpacks those that are there` }
}

/** @throws {FormatUnavailable} */
export function requireBacking(support: ErofsSupport): ErofsBacking {
  if (support.kind === 'unavailable') throw new FormatUnavailable('erofs', support.reason)
  return support.backing
}
