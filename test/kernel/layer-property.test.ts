import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Layer, Store } from '../../storage/index.ts'
import { workInOverlay } from '../support/overlay.ts'
import { useStores } from '../support/stores.ts'
import { collect, stream, task } from '../support/streams.ts'
import { archive, directory, file, forgePax, hardLink, octal, symlink } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'
import { operation } from '../support/tree-arbitraries.ts'
import type { TreeOperation } from '../support/tree-operations.ts'

const folder = useTemporaryFolder('layer-property')
const stores = useStores(folder)
const runs = Number(process.env['TSBUILD_PROPERTY_RUNS'] ?? 25)

const base = archive(
  directory('a/', { mode: octal(0o2750), uid: octal(5) }), file('a/a', 'one'), file('a/b', 'two', { mode: octal(0o4711) }), hardLink('a/c', 'a/a'),
  directory('a/d/'), file('a/d/a', 'deep'), symlink('a/d/b', '../b'), directory('b/'), forgePax({ 'SCHILY.xattr.user.x': 'y' }), directory('b/a/'),
  file('b/a/a', 'x'), symlink('c', 'a'), symlink('d', '/no/such/folder'), forgePax({ path: '\xff\xfe' }), file('x', 'bytes'),
)

async function step(store: Store, parent: Layer, operations: readonly TreeOperation[]): Promise<{ readonly layer: Layer; readonly tree: readonly string[] }> {
  await using snapshot = await store.layers.prepare(parent.chainId)
  const { tree } = workInOverlay(snapshot.rootfs, operations, mkdtempSync(join(folder, 'run-')))
  return { layer: await snapshot.commit(task), tree }
}

/** What the layer looks like where it came as a changeset. */
async function look(store: Store, layer: Layer): Promise<readonly string[]> {
  const snapshot = await store.layers.prepare(layer.chainId)
  const { tree } = workInOverlay(snapshot.rootfs, [], mkdtempSync(join(folder, 'look-')))
  await snapshot[Symbol.asyncDispose]()
  return tree
}

describe('a layer', () => {
  it('applied on its base is the tree that a process left, whatever it did', async () => {
    const store = await stores.open()
    const other = await stores.open()
    const first = await store.layers.apply(undefined, stream(base), undefined, task)
    await other.layers.apply(undefined, stream(base), undefined, task)
    await fc.assert(fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 25 }), fc.array(operation, { maxLength: 25 }), async (one, two) => {
      let parent = first
      for (const operations of [one, two]) {
        const { layer, tree } = await step(store, parent, operations)
        const changeset = await collect(store.layers.changeset(layer.chainId, task))
        const applied = await other.layers.apply(parent.chainId, stream(changeset), layer.diffId, task)
        expect(await look(other, applied)).toEqual(tree)
        parent = layer
      }
    }), { numRuns: runs })
  }, 60_000 + runs * 5000)
})
