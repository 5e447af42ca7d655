/**
 * A process that works on a store until it is told to stop, or killed. `store-worker.ts ROOT KIND SEED`
 * prints a line for each thing that is done for good.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { mediaTypes } from '../../oci/descriptor.ts'
import { digestAsDiffId, sha256 } from '../../oci/digest.ts'
import type { Store } from '../../storage/index.ts'
import { writableFolder } from './overlay.ts'
import { convertLayers, gc, openStore } from '../../storage/index.ts'
import { writeImage } from './stored-images.ts'
import { stream, task } from './streams.ts'
import { archive, directory, file } from './tar-forge.ts'

const [, , root = '', kind = '', seed = ''] = process.argv

const kinds: Readonly<Record<string, (store: Store, round: string) => Promise<string>>> = {
  ingest: async (store, round) => {
    const bytes = Buffer.alloc(3_000_000, round)
    const blob = { mediaType: mediaTypes.ociLayer, digest: sha256(bytes), size: bytes.length }
    await store.content.ingest(blob, stream(bytes), task)
    return `blob ${blob.digest}`
  },
  apply: async (store, round) => {
    const tar = archive(directory('d'), ...Array.from({ length: 200 }, (_, index) => file(`d/${round}-${index}`, 'x'.repeat(9000))))
    const layer = await store.layers.apply(undefined, stream(tar), undefined, task)
    await store.layers.sync(task)
    return `layer ${layer.chainId}`
  },
  pull: async (store, round) => {
    const tar = archive(directory('d'), ...Array.from({ length: 200 }, (_, index) => file(`d/${round}-${index}`, round.repeat(900))))
    const bytes = gzipSync(tar)
    const blob = { mediaType: mediaTypes.ociLayerGzip, digest: sha256(bytes), size: bytes.length }
    const layer = await store.ingestLayer({ parent: undefined, blob, bytes: stream(bytes, 1000), diffId: digestAsDiffId(sha256(tar)) }, task)
    await store.layers.sync(task)
    return `layer ${layer.chainId}`
  },
  commit: async (store, round) => {
    const base = await store.layers.apply(undefined, stream(archive(directory('d'))), undefined, task)
    await using snapshot = await store.layers.prepare(base.chainId)
    for (let index = 0; index < 100; index += 1) writeFileSync(join(writableFolder(snapshot), `${round}-${index}`), 'x'.repeat(5000))
    const layer = await snapshot.commit(task)
    store.cache.put({ key: `commit ${round}`, chainId: layer.chainId, payload: round })
    await store.layers.sync(task)
    return `layer ${layer.chainId}`
  },
  image: async (store, round) => {
    const layer = await store.layers.apply(undefined, stream(archive(file(round, round))), undefined, task)
    const image = await writeImage(store, [layer], round)
    await store.layers.sync(task)
    store.images.put(image.manifest, image.config.digest, [`docker.io/library/test:${round.slice(-1)}`])
    return `image ${image.config.digest}`
  },
  convert: async (store, round) => {
    const layer = await store.layers.apply(undefined, stream(archive(file(round, round.repeat(900)))), undefined, task)
    await store.layers.sync(task)
    await convertLayers(store, 'overlay', task)
    return `layer ${layer.chainId}`
  },
  gc: async (store) => {
    const report = await gc(store, task, { dryRun: false })
    return `gc ${report.layers} ${report.blobs}`
  },
}

for (let round = 0; ; round += 1) {
  const work = kinds[kind]
  if (work === undefined) throw new TypeError(`no such kind: ${kind}`)
  const store = await openStore(root)
  process.stdout.write(`${await work(store, `${seed}-${round}`)}\n`)
  await store[Symbol.asyncDispose]()
}
