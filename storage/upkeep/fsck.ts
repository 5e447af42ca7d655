import type { Task } from '../../core/task.ts'
import { getParts } from '../store-parts.ts'
import type { Store } from '../store.ts'
import { checkBlobs } from './check-blobs.ts'
import { checkImages } from './check-images.ts'
import { checkLayers } from './check-layers.ts'
import { checkSessions } from './check-sessions.ts'
import type { Finding } from './finding.ts'

export interface FsckReport {
  readonly findings: readonly Finding[]
  readonly blobs: number
  readonly layers: number
  readonly images: number
}

/**
 * Checks every invariant: reads every blob and packs every layer. What other processes are at work on is left out.
 * It changes nothing.
 */
export async function fsck(store: Store, task: Task): Promise<FsckReport> {
  const parts = getParts(store)
  const findings: Finding[] = []
  const found = (finding: Finding): void => { findings.push(finding) }
  const checking = { store, found, task }
  checkSessions(parts, found)
  const blobs = await checkBlobs(parts, found, task)
  const layers = await checkLayers(checking)
  const images = checkImages(parts, found)
  return { findings, blobs, layers, images }
}
