/**
 * npm run layer-property [-- --sequences 100000 --seed 1 --batch 200 --format overlay --json]
 * Random operations on an overlay, then: the changeset of what they left, applied on the base elsewhere, must be the tree that they left, as a
 * walker sees it that shares no code with either. Each sequence is two steps, a layer each, in a folder of its own; a batch of folders shares
 * the mounts. Everything lies on a tmpfs in a mount namespace of its own.
 */
/* eslint-disable no-console -- a program that reports to whoever started it */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import type { ChainId } from '../../oci/digest.ts'
import type { Layer, Snapshot, Store } from '../../storage/index.ts'
import { openStore } from '../../storage/index.ts'
import { mountOverlay } from '../support/overlay-mount.ts'
import { runWithOwnMounts } from '../support/own-mounts.ts'
import { collect, stream, task } from '../support/streams.ts'
import { archive } from '../support/tar-forge.ts'
import { operationBase } from '../support/operation-base.ts'
import type { Sequence } from '../support/tree-arbitraries.ts'
import { sequence } from '../support/tree-arbitraries.ts'
import type { TreeOperation } from '../support/tree-operations.ts'
import { operate } from '../support/tree-operations.ts'
import { walkTree } from '../support/walk-tree.ts'

const { values } = parseArgs({ options: {
  sequences: { type: 'string', default: '100000' }, seed: { type: 'string', default: '1' }, batch: { type: 'string', default: '200' },
  format: { type: 'string', default: process.env['TSBUILD_LAYER_FORMAT'] ?? 'overlay' }, json: { type: 'boolean', default: false }, inside: { type: 'string' },
} })
const options = { format: values.format === 'erofs' ? 'erofs' : 'overlay', driver: 'overlay' } as const

interface Failure { readonly batch: number; readonly step: number; readonly operations: Sequence | undefined; readonly wanted: readonly string[]; readonly actual: readonly string[] }

if (values.inside === undefined) runWithOwnMounts(import.meta.filename, 'property')
else await run(values.inside)

async function run(folder: string): Promise<void> {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4g', 'tmpfs', folder])
  const [wanted, size] = [Number(values.sequences), Number(values.batch)]
  const failures: Failure[] = []
  let done = 0
  for (let batch = 0; done < wanted; batch += 1) {
    const sequences = fc.sample(sequence, { numRuns: Math.min(size, wanted - done), seed: Number(values.seed) * 1_000_003 + batch })
    failures.push(...await tryBatch(join(folder, String(batch)), sequences, batch))
    done += sequences.length
    if (!values.json && batch % 20 === 0) console.log(`${done} sequences, ${failures.length} differ`)
  }
  console.log(values.json ? JSON.stringify({ done, failures }) : [...failures.map((failure) => JSON.stringify(failure)), `${done} sequences, ${failures.length} differ`].join('\n'))
  process.exitCode = failures.length === 0 ? 0 : 1
}

async function tryBatch(folder: string, sequences: readonly Sequence[], batch: number): Promise<Failure[]> {
  mkdirSync(folder)
  try {
    await using store = await openStore(join(folder, 'one'), options)
    await using other = await openStore(join(folder, 'other'), options)
    const base = archive(...sequences.map((_, index) => operationBase(`${index}/`)))
    let parent = await store.layers.apply(undefined, stream(base), undefined, task)
    await other.layers.apply(undefined, stream(base), undefined, task)
    for (const step of [0, 1] as const) {
      const { layer, tree } = await work(store, parent, sequences.map((each) => each[step]))
      const applied = await other.layers.apply(parent.chainId, stream(await collect(store.layers.changeset(layer.chainId, task))), layer.diffId, task)
      const failures = compare(tree, await look(other, applied.chainId)).map((each) => ({ batch, step, operations: sequences[each.index], ...each }))
      if (failures.length > 0) return failures
      parent = layer
    }
    return []
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function work(store: Store, parent: Layer, steps: readonly (readonly TreeOperation[])[]): Promise<{ readonly layer: Layer; readonly tree: readonly string[] }> {
  await using snapshot = await store.layers.prepare(parent.chainId)
  mounted(snapshot, (root) => {
    steps.forEach((operations, index) => { operations.forEach((each) => operate(join(root, String(index)), each)) })
  })
  // In a mount of its own: while one lasts, overlayfs may show links of a file of another filesystem as two files.
  return { tree: mounted(snapshot, walkTree), layer: await snapshot.commit(task) }
}

async function look(store: Store, chainId: ChainId): Promise<readonly string[]> {
  await using snapshot = await store.layers.prepare(chainId)
  return mounted(snapshot, walkTree)
}

function mounted<Result>({ rootfs }: Snapshot, act: (root: string) => Result): Result {
  if (rootfs.kind !== 'overlay' || rootfs.upper === undefined) throw new TypeError('the overlay driver makes overlays')
  using mount = mountOverlay(rootfs.lowers, rootfs.upper)
  return act(mount.path)
}

/** The lines that differ, by the folder that they are in. */
function compare(wanted: readonly string[], actual: readonly string[]): { readonly index: number; readonly wanted: readonly string[]; readonly actual: readonly string[] }[] {
  const [ofWanted, ofActual] = [new Set(wanted), new Set(actual)]
  const [missing, surplus] = [wanted.filter((line) => !ofActual.has(line)), actual.filter((line) => !ofWanted.has(line))]
  const folderOf = (line: string): number => Number(/^\.\/(\d+)/u.exec(line)?.[1] ?? -1)
  return [...new Set([...missing, ...surplus].map(folderOf))].map((index) => ({
    index, wanted: missing.filter((line) => folderOf(line) === index), actual: surplus.filter((line) => folderOf(line) === index),
  }))
}
