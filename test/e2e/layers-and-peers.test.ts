import { chmodSync, chownSync, createReadStream, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { getAddon } from '../../native/index.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { chainId } from '../../oci/digest.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import { parseManifestDocument } from '../../oci/manifest.ts'
import type { Layer, Store } from '../../storage/index.ts'
import { writeImage } from '../support/stored-images.ts'
import { operationBase } from '../support/operation-base.ts'
import { workInOverlay } from '../support/overlay.ts'
import { usePeerTools } from '../support/peer-tools.ts'
import { useStores } from '../support/stores.ts'
import { stream, task } from '../support/streams.ts'
import { archive, directory, file, forge, forgePax, hardLink, octal, symlink } from '../support/tar-forge.ts'
import { sequence } from '../support/tree-arbitraries.ts'
import type { TreeOperation } from '../support/tree-operations.ts'
import { inFolder } from '../support/tree-operations.ts'
import { walkTree } from '../support/walk-tree.ts'

const peers = usePeerTools('skopeo', 'umoci')
const stores = useStores(peers.folder)
const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex')

const base = archive(
  directory('etc/', { mtime: octal(1000, 11) }), file('etc/passwd', 'root\n'), directory('lib/'), file('lib/a', 'a'), directory('lib/sub/'), file('lib/sub/b', 'b'), directory('old/'), file('old/x', 'x'),
  forgePax({ 'SCHILY.xattr.security.capability': capability }), file('ping', 'x', { mode: octal(0o4755), uid: octal(5) }), hardLink('pong', 'ping'), symlink('bin', 'usr/bin'),
  forge({ name: 'null', type: '3', major: octal(1), minor: octal(3), mode: octal(0o666) }), forgePax({ path: Buffer.from('n\xff\xfe', 'latin1') }), file('x', 'odd'),
)
const changes: TreeOperation[] = [
  { do: 'unlink', path: 'lib/a' }, { do: 'remove', path: 'old' }, { do: 'mkdir', path: 'old' }, { do: 'write', path: 'old/new', bytes: 10 }, { do: 'remove', path: 'lib/sub' },
  { do: 'write', path: 'lib/sub', bytes: 5 }, { do: 'link', path: 'etc/passwd', to: 'etc/again' }, { do: 'xattr', path: 'etc', name: 'user.x', value: 'y' },
  { do: 'write', path: 'l'.repeat(200), bytes: 3 }, { do: 'chown', path: 'ping', uid: 70_000 }, { do: 'fifo', path: 'etc/fifo' }, { do: 'unlink', path: 'bin' }, { do: 'mkdir', path: 'bin' },
]

async function treeOf(store: Store, layer: Layer): Promise<readonly string[]> {
  const snapshot = await store.layers.prepare(layer.chainId)
  const { tree } = workInOverlay(snapshot.rootfs, [], mkdtempSync(join(peers.folder, 'look-')))
  await snapshot[Symbol.asyncDispose]()
  return tree
}

describe('skopeo and umoci', () => {
  it('read our store as an OCI layout, and our layers to the tree that we see', async () => {
    const store = await stores.open()
    const first = await store.layers.apply(undefined, stream(base), undefined, task)
    const snapshot = await store.layers.prepare(first.chainId)
    expect(workInOverlay(snapshot.rootfs, changes, mkdtempSync(join(peers.folder, 'work-'))).errors).toEqual(changes.map(() => null))
    const second = await snapshot.commit(task)
    const image = await writeImage(store, [first, second])
    await store.layers.sync(task)
    store.images.put(image.manifest, image.config.digest, ['docker.io/library/ours:1'])

    const layout = `oci:${peers.inside(join(store.root, 'content'))}:docker.io/library/ours:1`
    expect(JSON.parse(peers.run('skopeo', 'inspect', layout))).toMatchObject({ Digest: image.manifest.digest, Os: 'linux', Architecture: 'amd64' })
    const copy = join(peers.folder, 'copy')
    peers.run('skopeo', 'copy', '--quiet', layout, `oci:${peers.inside(copy)}:latest`)
    const bundle = join(peers.folder, 'bundle')
    peers.run('umoci', 'unpack', '--image', `${peers.inside(copy)}:latest`, peers.inside(bundle))
    expect(walkTree(join(bundle, 'rootfs'))).toEqual(await treeOf(store, second))
  })

  it('read layers of whatever a process may do to the tree that it left', async () => {
    const store = await stores.open()
    const sequences = fc.sample(sequence, { numRuns: 150, seed: 7 })
    const layers = [await store.layers.apply(undefined, stream(archive(...sequences.map((_, index) => operationBase(`${index}/`)))), undefined, task)]
    let tree: readonly string[] = []
    for (const step of [0, 1] as const) {
      await using snapshot = await store.layers.prepare(layers.at(-1)?.chainId)
      tree = workInOverlay(snapshot.rootfs, sequences.flatMap((each, index) => each[step].map((one) => inFolder(String(index), one))), mkdtempSync(join(peers.folder, 'work-'))).tree
      layers.push(await snapshot.commit(task))
    }
    const image = await writeImage(store, layers)
    await store.layers.sync(task)
    store.images.put(image.manifest, image.config.digest, ['docker.io/library/random:1'])
    const copy = join(peers.folder, 'random')
    peers.run('skopeo', 'copy', '--quiet', `oci:${peers.inside(join(store.root, 'content'))}:docker.io/library/random:1`, `oci:${peers.inside(copy)}:latest`)
    const bundle = join(peers.folder, 'random-bundle')
    peers.run('umoci', 'unpack', '--image', `${peers.inside(copy)}:latest`, peers.inside(bundle))
    // umoci leaves overlayfs's own attributes out of what it unpacks, those escaped by overlayfs too.
    const withoutMarks = (lines: readonly string[]): string[] => lines.map((line) => line.replace(/ trusted\.overlay\.\S+/gu, ''))
    expect(withoutMarks(walkTree(join(bundle, 'rootfs')))).toEqual(withoutMarks(tree))
  })

  it('write layers that we read to the tree that they see', async () => {
    const layout = join(peers.folder, 'theirs')
    const bundle = join(peers.folder, 'their-bundle')
    peers.run('umoci', 'init', '--layout', peers.inside(layout))
    peers.run('umoci', 'new', '--image', `${peers.inside(layout)}:latest`)
    peers.run('umoci', 'unpack', '--image', `${peers.inside(layout)}:latest`, peers.inside(bundle))
    const root = join(bundle, 'rootfs')
    // Go's tar writer rounds times up.
    const repack = (...paths: string[]): void => {
      for (const path of paths) utimesSync(join(root, path), 1_600_000_000, 1_600_000_000)
      peers.run('umoci', 'repack', '--refresh-bundle', '--image', `${peers.inside(layout)}:latest`, peers.inside(bundle))
    }
    mkdirSync(join(root, 'd'))
    mkdirSync(join(root, 'e'))
    writeFileSync(join(root, 'd', 'a'), 'a')
    linkSync(join(root, 'd', 'a'), join(root, 'd', 'b'))
    writeFileSync(join(root, 'e', 'f'), 'x'.repeat(100_000))
    chownSync(join(root, 'e', 'f'), 70_000, 5)
    chmodSync(join(root, 'e', 'f'), 0o4755)
    getAddon().setXattr(join(root, 'e', 'f'), 'security.capability', capability)
    repack('e/f', 'd/a', 'd', 'e')
    rmSync(join(root, 'd'), { recursive: true })
    writeFileSync(join(root, 'd'), 'a file now')
    rmSync(join(root, 'e', 'f'))
    repack('d', 'e')

    const store = await stores.open()
    const read = (blob: Descriptor): Buffer => readFileSync(blobPath(layout, blob))
    const index = parseManifestDocument(readFileSync(join(layout, 'index.json')), 'application/vnd.oci.image.index.v1+json')
    const manifest = parseManifestDocument(read((index.kind === 'index' ? index.index.manifests[0] : undefined)!))
    if (manifest.kind !== 'manifest') throw new TypeError('umoci wrote no manifest')
    const config = parseImageConfig(read(manifest.manifest.config))
    let top: Layer | undefined
    let parent: Layer['chainId'] | undefined
    for (const [number, blob] of manifest.manifest.layers.entries()) {
      const diffId = config.rootfs.diff_ids[number]!
      top = await store.ingestLayer({ parent, blob, bytes: createReadStream(blobPath(layout, blob)) as AsyncIterable<Uint8Array>, diffId }, task)
      parent = chainId(parent, diffId)
    }
    expect(manifest.manifest.layers).toHaveLength(2)
    expect(await treeOf(store, top!)).toEqual(walkTree(root))
  })
})

function blobPath(layout: string, blob: Descriptor): string {
  return join(layout, 'blobs', ...blob.digest.split(':'))
}
