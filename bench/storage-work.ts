/** One piece of the store's work, timed from inside: `storage-work.ts WORK ROOT OPERAND` prints seconds, processor time and peak memory as JSON. */
import { execFileSync } from 'node:child_process'
import { createReadStream, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs'
import { createTask } from '../core/task.ts'
import { layerMediaType, mediaTypes } from '../oci/descriptor.ts'
import { diffIdAsDigest } from '../oci/digest.ts'
import { encodeImageConfig } from '../oci/image-config.ts'
import { encodeDocument } from '../oci/manifest.ts'
import type { ChangesetEntry, Layer, Store } from '../storage/index.ts'
import { gc, measureUsage, openStore, packChangeset, PackedChangeset } from '../storage/index.ts'

export interface Timed {
  readonly seconds: number
  /** Of this process and its children. */
  readonly processor: number
  readonly peakMiB: number
}

const task = createTask<never>()
const metadata = { mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n }
const [, , name = '', root = '', operand = ''] = process.argv

/** What is to be done before the clock starts; gives what is timed. */
const works = {
  apply: (store: Store) => () => store.layers.apply(undefined, new PackedChangeset(readTar()), undefined, task),
  'apply-foreign': (store: Store) => () => store.layers.apply(undefined, readTar(), undefined, task),
  commit: async (store: Store) => {
    const snapshot = await store.layers.prepare(undefined)
    if (snapshot.rootfs.kind !== 'overlay' || snapshot.rootfs.upper === undefined) throw new TypeError('this needs the overlay driver')
    const { upperdir } = snapshot.rootfs.upper
    renameSync(upperdir, `${upperdir}.empty`)
    execFileSync('cp', ['-a', operand, upperdir])
    return () => snapshot.commit(task)
  },
  huge: (store: Store) => () => store.layers.apply(undefined, hugeTar(Number(operand)), undefined, task),
  fill: (store: Store) => () => fillImages(store, Number(operand)),
  'fill-inodes': (store: Store) => () => fillInodes(store, Number(operand)),
  df: (store: Store) => () => measureUsage(store, task),
  plan: (store: Store) => () => gc(store, task, { dryRun: true, policies: [{ what: 'all', filters: {}, keepLast: undefined, budgets: { minFreeInodes: { kind: 'share', share: 1 } } }] }),
  collect: (store: Store) => () => gc(store, task, { dryRun: false, policies: [{ what: 'all', filters: {}, keepLast: undefined, budgets: {} }] }),
} as const
export type StorageWork = keyof typeof works

const prepare = Object.entries(works).find(([known]) => known === name)?.[1]
if (prepare === undefined) throw new TypeError(`no such work: ${name}`)
const store = await openStore(root, { format: 'overlay' })
const act: () => Promise<unknown> = await prepare(store)
const [started, before] = [process.hrtime.bigint(), processorTime()]
await act()
const seconds = Number(process.hrtime.bigint() - started) / 1e9
process.stdout.write(JSON.stringify({ seconds, processor: processorTime() - before, peakMiB: process.resourceUsage().maxRSS / 1024 } satisfies Timed))
await store[Symbol.asyncDispose]()

/** User and system time of this process and of the children it waited for, in clock ticks of 10 ms. */
function processorTime(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ') ?? []
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100
}

async function* readTar(): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of createReadStream(operand, { highWaterMark: 1 << 20 })) yield chunk as Uint8Array
}

/** One file of zeros, which takes no space where it comes from. */
function hugeTar(size: number): PackedChangeset {
  const file = `${root}.zeros`
  writeFileSync(file, '')
  truncateSync(file, size)
  return packChangeset([{ ...metadata, type: 'file', path: Buffer.from('zeros'), content: { kind: 'range', file, offset: 0, sizeBytes: size } }], task)
}

/** 350 images share nothing with each other. */
async function fillImages(store: Store, layerCount: number): Promise<void> {
  const perImage = 10
  for (let image = 0; image < layerCount / perImage; image += 1) {
    const layers: Layer[] = []
    for (let number = 0; number < perImage; number += 1) layers.push(await store.layers.apply(layers.at(-1)?.chainId, packChangeset(smallFiles(`${image}-${number}`, 2, 'x'), task), undefined, task))
    await putImage(store, layers, `docker.io/library/app:${image}`)
  }
}

/** Ten layers of empty files: what is measured is inodes. */
async function fillInodes(store: Store, inodes: number): Promise<void> {
  const layers: Layer[] = []
  for (let number = 0; number < 10; number += 1) layers.push(await store.layers.apply(layers.at(-1)?.chainId, packChangeset(smallFiles(String(number), inodes / 10, ''), task), undefined, task))
  await putImage(store, layers, 'docker.io/library/many:1')
}

function smallFiles(prefix: string, count: number, content: string): ChangesetEntry[] {
  const folders = Array.from({ length: Math.ceil(count / 1000) }, (_, index) => ({ ...metadata, mode: 0o755, type: 'directory' as const, path: Buffer.from(`d${String(index).padStart(5, '0')}`) }))
  return folders.flatMap((folder, index) => [folder, ...Array.from({ length: Math.min(1000, count - index * 1000) }, (_, file) => (
    { ...metadata, type: 'file' as const, path: Buffer.from(`${folder.path.toString()}/${prefix}-${String(file).padStart(4, '0')}`), content: { kind: 'bytes' as const, bytes: Buffer.from(content) } }))])
}

async function putImage(store: Store, layers: readonly Layer[], name: string): Promise<void> {
  const config = await store.content.write(encodeImageConfig({ os: 'linux', architecture: 'amd64', author: name, rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) } }), mediaTypes.ociConfig)
  const blobs = layers.map(({ diffId, tarBytes }) => ({ mediaType: layerMediaType('none'), digest: diffIdAsDigest(diffId), size: tarBytes }))
  const manifest = await store.content.write(encodeDocument({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: blobs }), mediaTypes.ociManifest)
  await store.layers.sync(task)
  store.images.put(manifest, config.digest, [name])
}
