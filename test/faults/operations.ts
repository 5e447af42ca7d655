import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { runInStore } from '../../builder/container/run-in-store.ts'
import { isErrno } from '../../core/errors.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import { digestAsDiffId, sha256 } from '../../oci/digest.ts'
import type { IncomingLayer, Layer, Store } from '../../storage/index.ts'
import { convertLayers, fsck, gc, openStore, packChangeset, repair } from '../../storage/index.ts'
import { makeSpec } from '../support/container.ts'
import { writableFolder } from '../support/overlay.ts'
import { writeImage } from '../support/stored-images.ts'
import { stream, task } from '../support/streams.ts'
import { archive, directory, file } from '../support/tar-forge.ts'

/** The program in the container met the fault, and said so on its own. */
export class StepFailed extends Error {
  readonly code = 'STEP_FAILED'
}

const metadata = { mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n }

function writeAsStep(upperdir: string): void {
  try {
    for (let index = 0; index < 5; index += 1) writeFileSync(join(upperdir, `new${index}`), 'x'.repeat(3000))
  } catch (error) {
    if (isErrno(error, 'ENOSPC')) throw new StepFailed()
    throw error
  }
}

async function apply(store: Store): Promise<Layer> {
  const entries = Array.from({ length: 12 }, (_, index) => ({ ...metadata, type: 'file' as const, path: Buffer.from(`f${String(index).padStart(2, '0')}`), content: { kind: 'bytes' as const, bytes: Buffer.alloc(5000, `${index}`) } }))
  return store.layers.apply(undefined, packChangeset(entries, task), undefined, task)
}

async function pull(store: Store, open: (blob: Buffer) => IncomingLayer['bytes']): Promise<string> {
  const tar = archive(directory('d'), ...Array.from({ length: 12 }, (_, index) => file(`d/${index}`, `${index}`.repeat(3000))))
  const blob = gzipSync(tar)
  const layer = await store.ingestLayer({ parent: undefined, blob: { mediaType: mediaTypes.ociLayerGzip, digest: sha256(blob), size: blob.length }, bytes: open(blob), diffId: digestAsDiffId(sha256(tar)) }, task)
  await store.layers.sync(task)
  return `layer ${layer.chainId}`
}

const operations: Readonly<Record<string, (store: Store) => Promise<string>>> = {
  pull: (store) => pull(store, (blob) => stream(blob, 4000)),
  /** The same, kept as it comes in a file that another process can go on with. */
  fetch: (store) => pull(store, (blob) => (fromByte) => stream(blob.subarray(fromByte), 4000)),
  apply: async (store) => {
    const layer = await apply(store)
    await store.layers.sync(task)
    return `layer ${layer.chainId}`
  },
  commit: async (store) => {
    const base = await apply(store)
    await using snapshot = await store.layers.prepare(base.chainId)
    writeAsStep(writableFolder(snapshot))
    await snapshot.commit(task)
    await store.layers.sync(task)
    return `layer ${base.chainId}`
  },
  /** What `run` runs in. */
  base: async (store) => {
    const busybox = { ...metadata, mode: 0o755, type: 'file' as const, path: Buffer.from('busybox'), content: { kind: 'bytes' as const, bytes: readFileSync('/bin/busybox') } }
    const layer = await store.layers.apply(undefined, packChangeset([busybox, { ...busybox, mode: 0o644, path: Buffer.from('old') }], task), undefined, task)
    store.cache.put({ key: 'base', chainId: layer.chainId, payload: '' })
    return `layer ${layer.chainId}`
  },
  run: async (store) => {
    await using snapshot = await store.layers.prepare(store.cache.find('base')?.chainId)
    const script = 'set -e; cd /; rm old; mkdir d; for i in 1 2 3; do echo $i > d/$i; done; ln d/1 two; touch -d @1000 d/* d'
    const spec = makeSpec({ args: ['/busybox', 'sh', '-c', script], rootfs: snapshot.rootfs, process: { env: ['PATH=/'] } })
    const { exitCode } = await runInStore(store, spec, { kind: 'events' }, { signal: task.signal, emit: () => undefined })
    if (exitCode !== 0) throw new StepFailed()
    const layer = await snapshot.commit(task)
    store.cache.put({ key: 'run', chainId: layer.chainId, payload: '' })
    await store.layers.sync(task)
    return `layer ${layer.chainId}`
  },
  image: async (store) => {
    const layer = await apply(store)
    const image = await writeImage(store, [layer])
    await store.layers.sync(task)
    store.images.put(image.manifest, image.config.digest, ['docker.io/library/test:1'])
    return `image ${image.config.digest}`
  },
  /** To the format that layers do not have. */
  convert: async (store) => {
    await convertLayers(store, process.env['TSBUILD_LAYER_FORMAT'] === 'erofs' ? 'overlay' : 'erofs', task)
    return 'converted'
  },
  gc: async (store) => {
    await gc(store, task, { dryRun: false, policies: [{ what: 'all', filters: {}, keepLast: undefined, budgets: {} }] })
    return 'collected'
  },
  fsck: async (store) => `findings ${(await fsck(store, task)).findings.length}`,
  repair: async (store) => `findings ${(await repair(store, { fetchBlob: () => Promise.resolve(false) }, task)).after.findings.length}`,
}

/** Opens the store, does one operation and closes it. @returns what is done for good then */
export async function perform(root: string, name: string): Promise<string> {
  const operation = operations[name]
  if (operation === undefined) throw new TypeError(`no such operation: ${name}`)
  const store = await openStore(root, { mayUseReserve: ['gc', 'fsck', 'repair'].includes(name) })
  const done = await operation(store)
  await store[Symbol.asyncDispose]()
  return done
}
