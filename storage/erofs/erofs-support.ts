import { mkdtempSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { createTask } from '../../core/task.ts'
import { FormatUnavailable, HelperDied, TreeFailure } from '../errors.ts'
import { emptyChangeset, emptyLayer } from '../layer/changeset/empty-changeset.ts'
import { isInUserNamespace } from '../layer/user-namespace.ts'
import { explainFull } from '../root/explain-full.ts'
import { removeTrees } from '../tree/upkeep-trees.ts'
import { tryMount } from './mount-layers.ts'
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
  if (process.geteuid?.() !== 0 || isInUserNamespace()) return { kind: 'unavailable', reason: 'mounting them takes root; without it layers are kept unpacked' }
  let trial: string | undefined
  try {
    trial = mkdtempSync(join(folder, 'erofs-trial-'))
    const [tar, index] = [join(trial, 'tar'), join(trial, 'index')]
    writeFileSync(tar, emptyChangeset)
    await writeIndex({ root: folder, tar, index, diffId: emptyLayer.diffId, makesWhiteouts: false, maxBytes: 0, maxSeconds: 60, lowers: [] }, createTask())
    const failures: string[] = []
    for (const backing of ['file', 'loop'] as const) {
      const problem = await findProblem(() => tryMount([{ kind: 'erofs', path: index, tar, backing }], createTask()))
      if (problem === undefined) return { kind: 'available', backing }
      failures.push(`${backing === 'file' ? 'a mount of the file' : 'a mount by loop devices'} failed with ${problem}`)
    }
    return { kind: 'unavailable', reason: `on Linux ${release()} and this filesystem ${failures.join(', ')}` }
  } catch (error) {
    throw explainFull(folder, error)
  } finally {
    if (trial !== undefined) await removeTrees(folder, [trial], createTask())
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

/** @throws {FormatUnavailable} */
export function requireBacking(support: ErofsSupport): ErofsBacking {
  if (support.kind === 'unavailable') throw new FormatUnavailable('erofs', support.reason)
  return support.backing
}
