/** One operation on a store, to be disturbed: `operation.ts ROOT NAME`. What it prints is done for good. */
import { gzipSync } from 'node:zlib'
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import { mediaTypes } from '../../oci/descriptor.ts'
import { digestAsDiffId, sha256 } from '../../oci/digest.ts'
import type { Layer, Store } from '../../storage/index.ts'
import { writableFolder } from '../support/overlay.ts'
import { fsck, gc, openStore, packChangeset, repair } from '../../storage/index.ts'
import { writeImage } from '../support/stored-images.ts'
import { stream, task } from '../support/streams.ts'
import { archive, directory, file } from '../support/tar-forge.ts'

const [, , root = '', name = ''] = process.argv

const metadata = { mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n }

async function apply(store: Store): Promise<Layer> {
  const entries = Array.from({ length: 12 }, (_, index) => ({ ...metadata, type: 'file' as const, path: Buffer.from(`f${String(index).padStart(2, '0')}`), content: { kind: 'bytes' as const, bytes: Buffer.alloc(5000, `${index}`) } }))
  return store.layers.apply(undefined, packChangeset(entries, task), undefined, task)
}

const operations: Readonly<Record<string, (store: Store) => Promise<string>>> = {
  pull: async (store) => {
    const tar = archive(directory('d'), ...Array.from({ length: 12 }, (_, index) => file(`d/${index}`, `${index}`.repeat(3000))))
    const blob = gzipSync(tar)
    const layer = await store.ingestLayer({ parent: undefined, blob: { mediaType: mediaTypes.ociLayerGzip, digest: sha256(blob), size: blob.length }, bytes: stream(blob, 4000), diffId: digestAsDiffId(sha256(tar)) }, task)
    await store.layers.sync(task)
    return `layer ${layer.chainId}`
  },
  apply: async (store) => {
    const layer = await apply(store)
    await store.layers.sync(task)
    return `layer ${layer.chainId}`
  },
  commit: async (store) => {
    const base = await apply(store)
    await using snapshot = await store.layers.prepare(base.chainId)
    const upperdir = writableFolder(snapshot)
    for (let index = 0; index < 5; index += 1) writeFileSync(join(upperdir, `new${index}`), 'x'.repeat(3000))
    await snapshot.commit(task)
    await store.layers.sync(task)
    return `layer ${base.chainId}`
  },
  image: async (store) => {
    const layer = await apply(store)
    const image = await writeImage(store, [layer])
    await store.layers.sync(task)
    store.images.put(image.manifest, image.config.digest, ['docker.io/library/test:1'])
    return `image ${image.config.digest}`
  },
  gc: async (store) => {
    await gc(store, task, { dryRun: false, policies: [{ what: 'all', filters: {}, keepLast: undefined, budgets: {} }] })
    return 'collected'
  },
  fsck: async (store) => `findings ${(await fsck(store, task)).findings.length}`,
  repair: async (store) => `findings ${(await repair(store, { fetchBlob: () => Promise.resolve(false) }, task)).after.findings.length}`,
}

const operation = operations[name]
if (operation === undefined) throw new TypeError(`no such operation: ${name}`)
const store = await openStore(root, { mayUseReserve: true })
const done = await operation(store)
process.stdout.write(`${done}\n`)
await store[Symbol.asyncDispose]()
