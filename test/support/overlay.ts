import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import type { LowerLayer, Snapshot } from '../../storage/index.ts'
import type { TreeOperation } from './tree-operations.ts'
import { operate } from './tree-operations.ts'
import { walkTree } from './walk-tree.ts'

export interface OverlayWork {
  readonly lowers: readonly LowerLayer[]
  readonly upperdir: string
  readonly workdir: string
  readonly program: string | undefined
  readonly operations: readonly TreeOperation[]
}

export interface OverlayResult {
  /** For each operation the code of the error it met. */
  readonly errors: readonly (string | null)[]
  readonly tree: readonly string[]
}

/** The folder of a snapshot that a test can change behind the back of whoever shows the tree. */
export function writableFolder({ rootfs }: Snapshot): string {
  return rootfs.kind === 'directory' ? rootfs.path : rootfs.upper?.upperdir ?? ''
}

/** Does operations on a root filesystem as a container would: through a real overlay mount that nobody else sees, or in the folder that it is. */
export function workInOverlay(rootfs: Snapshot['rootfs'], operations: readonly TreeOperation[], folder: string): OverlayResult {
  if (rootfs.kind === 'directory') return { errors: operations.map((operation) => operate(rootfs.path, operation) ?? null), tree: walkTree(rootfs.path) }
  const empty = mkdtempSync(join(folder, 'empty-'))
  const upper = rootfs.upper ?? makeUpper(folder)
  const work: OverlayWork = { lowers: [...rootfs.lowers, { kind: 'directory', path: empty }], upperdir: upper.upperdir, workdir: upper.workdir, program: rootfs.program, operations }
  const output = execFileSync('unshare', ['-m', process.execPath, join(import.meta.dirname, 'overlay-worker.ts')], { input: JSON.stringify(work), maxBuffer: 1 << 28 })
  return JSON.parse(output.toString()) as OverlayResult
}

function makeUpper(folder: string): { readonly upperdir: string; readonly workdir: string } {
  const made = mkdtempSync(join(folder, 'upper-'))
  const upper = { upperdir: join(made, 'fs'), workdir: join(made, 'work') }
  mkdirSync(upper.upperdir)
  mkdirSync(upper.workdir)
  return upper
}
