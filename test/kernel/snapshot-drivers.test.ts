import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Layer, Store } from '../../storage/index.ts'
import { listTar } from '../support/list-tar.ts'
import { workInOverlay } from '../support/overlay.ts'
import { useStores } from '../support/stores.ts'
import { collect, stream, task } from '../support/streams.ts'
import { archive, directory, file, forgePax, hardLink, octal, symlink } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'
import { insideOperation } from '../support/tree-arbitraries.ts'
import type { TreeOperation } from '../support/tree-operations.ts'

const folder = useTemporaryFolder('snapshot-drivers')
const [mounting, copying] = [useStores(folder, 'overlay', 'overlay'), useStores(folder, 'overlay', 'vfs')]
const runs = Number(process.env['TSBUILD_PROPERTY_RUNS'] ?? 25)

const base = archive(
  directory('a/', { mode: octal(0o2750), uid: octal(5) }), file('a/a', 'one'), file('a/b', 'two', { mode: octal(0o4711) }), hardLink('a/c', 'a/a'),
  directory('a/d/'), file('a/d/a', 'deep'), symlink('a/d/b', '../b'), directory('b/'), forgePax({ 'SCHILY.xattr.user.x': 'y' }), directory('b/a/'),
  file('b/a/a', 'x'), symlink('c', 'a'), symlink('d', 'nowhere'), forgePax({ path: '\xff\xfe' }), file('x', 'bytes'),
)

async function step(store: Store, parent: Layer, operations: readonly TreeOperation[]): Promise<{ readonly layer: Layer; readonly errors: readonly (string | null)[] }> {
  await using snapshot = await store.layers.prepare(parent.chainId)
  const { errors } = workInOverlay(snapshot.rootfs, operations, mkdtempSync(join(folder, 'run-')))
  return { layer: await snapshot.commit(task), errors }
}

/** The entries of a changeset; times that the clock set differ between two runs. */
async function entries(store: Store, layer: Layer, since: number): Promise<unknown[]> {
  const listed = await listTar(await collect(store.layers.changeset(layer.chainId, task)))
  return listed.map((entry) => ({ ...entry, mtime: entry.mtime >= since && entry.mtime <= Date.now() / 1000 ? 'now' : entry.mtime }))
}

describe('drivers', () => {
  it('make the same changeset of the same operations', async () => {
    const [one, other] = [await mounting.open(), await copying.open()]
    const parents = [await one.layers.apply(undefined, stream(base), undefined, task), await other.layers.apply(undefined, stream(base), undefined, task)] as const
    const since = Math.floor(Date.now() / 1000)
    await fc.assert(fc.asyncProperty(fc.array(insideOperation, { minLength: 1, maxLength: 25 }), async (operations) => {
      const mounted = await step(one, parents[0], operations)
      // Overlayfs leaves renaming a folder of the layers to mv, which copies it.
      const done = operations.filter((_, index) => mounted.errors[index] === null)
      const copied = await step(other, parents[1], done)
      expect(copied.errors).toEqual(done.map(() => null))
      expect(await entries(other, copied.layer, since)).toEqual(await entries(one, mounted.layer, since))
    }), { numRuns: runs })
  }, 600_000)
})
