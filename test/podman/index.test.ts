/**
 * podman reads our layers to the trees that processes left. `npm run test:podman` wants podman in the PATH, or in TSBUILD_PEERS what runs it elsewhere
 * (with TSBUILD_PEERS_SHARE, a folder that both see): see test/support/peer-tools.ts.
 */
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LowerLayer } from '../../storage/index.ts'
import { operationBase } from '../support/operation-base.ts'
import { workInOverlay } from '../support/overlay.ts'
import { usePeerTools } from '../support/peer-tools.ts'
import { writeImage } from '../support/stored-images.ts'
import { useStores } from '../support/stores.ts'
import { stream, task } from '../support/streams.ts'
import { archive } from '../support/tar-forge.ts'
import { sequence } from '../support/tree-arbitraries.ts'
import type { TreeOperation } from '../support/tree-operations.ts'
import { inFolder } from '../support/tree-operations.ts'

const podman = usePeerTools('podman')
const stores = useStores(podman.folder, 'overlay', 'overlay')
const count = Number(process.env['TSBUILD_PROPERTY_RUNS'] ?? 1000)

/** As podman keeps an image, by its own overlay driver. */
interface GraphData { readonly LowerDir?: string; readonly UpperDir: string }

/** podman unpacks attributes of these names as they stand, so that they become marks of its own. */
const isMark = (operation: TreeOperation): boolean => operation.do === 'xattr' && operation.name.includes('overlay')

describe('podman', () => {
  it('reads layers of whatever a process may do to the tree that it left', async () => {
    const store = await stores.open()
    const sequences = fc.sample(sequence, { numRuns: count, seed: 11 })
    const layers = [await store.layers.apply(undefined, stream(archive(...sequences.map((_, index) => operationBase(`${index}/`)))), undefined, task)]
    let tree: readonly string[] = []
    for (const step of [0, 1] as const) {
      await using snapshot = await store.layers.prepare(layers.at(-1)?.chainId)
      const operations = sequences.flatMap((each, index) => each[step].filter((one) => !isMark(one)).map((one) => inFolder(String(index), one)))
      tree = workInOverlay(snapshot.rootfs, operations, mkdtempSync(join(podman.folder, 'work-'))).tree
      layers.push(await snapshot.commit(task))
    }
    const image = await writeImage(store, layers)
    await store.layers.sync(task)
    store.images.put(image.manifest, image.config.digest, ['docker.io/library/random:1'])

    const own = ['--root', podman.inside(join(podman.folder, 'graph')), '--runroot', podman.inside(join(podman.folder, 'run')), '--storage-driver', 'overlay']
    const id = podman.run('podman', ...own, 'pull', '--quiet', `oci:${podman.inside(join(store.root, 'content'))}:docker.io/library/random:1`).trim()
    const data = JSON.parse(podman.run('podman', ...own, 'image', 'inspect', '--format', '{{json .GraphDriver.Data}}', id)) as GraphData
    const folders = [data.UpperDir, ...(data.LowerDir ?? '').split(':')]
    expect(folders).toHaveLength(layers.length)
    const lowers = folders.map((path): LowerLayer => ({ kind: 'directory', path: join(podman.folder, path.slice(podman.inside(podman.folder).length)) }))
    const seen = workInOverlay({ kind: 'overlay', lowers, upper: undefined, xattrs: 'trusted' }, [], mkdtempSync(join(podman.folder, 'look-')))
    // The root directory of an image is the reader's affair.
    const withoutRoot = (lines: readonly string[]): readonly string[] => lines.filter((line) => !line.startsWith('. '))
    expect(withoutRoot(seen.tree)).toEqual(withoutRoot(tree))
  })
})
