/** Makes what store-arbitraries.ts describes, in a store at a path where none is. */
import { linkSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import { parseChainId, sha256 } from '../../oci/digest.ts'
import { encodeImageConfig } from '../../oci/image-config.ts'
import { encodeDocument } from '../../oci/manifest.ts'
import { parsePolicy } from '../../src/prune-options.ts'
import type { Layer, LayerFormatName, PrunePolicy, Store } from '../../storage/index.ts'
import { addSizes, measureUsage, openStore } from '../../storage/index.ts'
import { getParts } from '../../storage/store-parts.ts'
import { writableFolder } from './overlay.ts'
import type { RandomPolicy, RandomStore } from './store-arbitraries.ts'
import { stream, task } from './streams.ts'
import { archive, directory, file } from './tar-forge.ts'

interface StoredImage { readonly id: string; readonly manifest: Descriptor }

const hour = 3_600_000

export async function makeRandomStore(root: string, plan: RandomStore, format: LayerFormatName): Promise<void> {
  const store = await openStore(root, { format })
  const layers = await makeLayers(store, plan)
  const images = await makeImages(store, plan, layers)
  plan.cache.forEach(({ top }, number) => { store.cache.put({ key: `step ${number}`, chainId: pick(layers, top).chainId, payload: '' }) })
  await store.layers.sync(task)
  await makeMounts(store, plan)
  for (let number = 0; number < plan.litter.blobs; number += 1) await store.content.write(Buffer.alloc(5000 * (number + 1), `unneeded ${number}`), 'application/octet-stream')
  setAges(store, plan, { layers, images })
  await store[Symbol.asyncDispose]()
  litter(root, plan)
}

/** Holds what the plan says that another process uses. */
export async function useRandomStore(root: string, { used }: RandomStore): Promise<AsyncDisposable> {
  const store = await openStore(root)
  const held: AsyncDisposable[] = [store]
  const layers = getParts(store).database.all('SELECT chain_id FROM layers ORDER BY id').map((row) => parseChainId(String(row['chain_id'])))
  for (const number of used.layers) store.layers.find(pick(layers, number))
  if (used.hasSnapshot) {
    const snapshot = await store.layers.prepare(pick(layers, 0))
    writeFileSync(join(writableFolder(snapshot), 'unfinished'), 'x'.repeat(9000))
    held.push(snapshot)
  }
  const images = store.images.list()
  if (images.length > 0) for (const number of used.images) store.images.lease(pick(images, number).id)
  const mounts = await store.mounts.list(task)
  if (mounts.length > 0) for (const number of used.mounts) {
    const { id, uid, gid, mode } = pick(mounts, number)
    held.push(await store.mounts.hold({ id, uid, gid, mode, sharing: 'shared', seed: undefined }, task))
  }
  return { [Symbol.asyncDispose]: async () => { for (const each of held.toReversed()) await each[Symbol.asyncDispose]() } }
}

/** As the command line would give them: budgets are shares of what there is. */
export async function makePolicies(store: Store, policies: readonly RandomPolicy[]): Promise<PrunePolicy[]> {
  const { images, cache, mounts, space } = await measureUsage(store, task)
  const held = addSizes([images.size, cache.size, mounts.size])
  const ofHeld = (share: number | undefined, whole: number): string | undefined => share === undefined ? undefined : String(Math.floor(share * whole))
  const more = (share: number | undefined, whole: number, free: number): string | undefined => share === undefined ? undefined : String(Math.floor(free + share * whole))
  return policies.map(({ what, filters, keepLast, maxBytes, maxInodes, minFreeBytes, minFreeInodes }) => parsePolicy({
    what, filter: withoutContradictions(filters), 'keep-last': keepLast === undefined ? undefined : String(keepLast), 'max-bytes': ofHeld(maxBytes, held.bytes), 'max-inodes': ofHeld(maxInodes, held.inodes),
    'min-free-bytes': more(minFreeBytes, held.bytes, space.free.bytes), 'min-free-inodes': more(minFreeInodes, held.inodes, space.free.inodes),
  }, Date.now()))
}

/** Of a kind of which nothing passes two, the last. */
function withoutContradictions(filters: readonly string[]): string[] {
  return [...new Map(filters.map((each): [string, string] => [/^(?:type|dangling)/u.exec(each)?.[0] ?? each, each])).values()]
}

async function makeLayers(store: Store, plan: RandomStore): Promise<Layer[]> {
  const layers: Layer[] = []
  for (const [number, { parent, files, isCommitted }] of plan.layers.entries()) {
    const below = parent === null || layers.length === 0 ? undefined : pick(layers, parent).chainId
    if (isCommitted) {
      await using snapshot = await store.layers.prepare(below)
      files.forEach((bytes, each) => { writeFileSync(join(writableFolder(snapshot), `c${number}-${each}`), 'y'.repeat(bytes)) })
      layers.push(await snapshot.commit(task))
    } else {
      // Some share their changeset, and so its blob, on different parents.
      const entries = files.map((bytes, each) => file(`d/f${each}`, 'x'.repeat(bytes)))
      layers.push(await store.layers.apply(below, stream(archive(directory('d/'), ...entries)), undefined, task))
    }
  }
  await store.layers.sync(task)
  return layers
}

async function makeImages(store: Store, plan: RandomStore, layers: readonly Layer[]): Promise<StoredImage[]> {
  const images: StoredImage[] = []
  for (const { top, tags, labels, comment } of plan.images) {
    const stack = stackOf(layers, pick(layers, top))
    const blobs: Descriptor[] = []
    for (const layer of stack) blobs.push(await store.layerBlob(layer.chainId, 'gzip', task))
    const Labels = Object.fromEntries(labels.map((each): [string, string] => { const [key = '', value = ''] = each.split('='); return [key, value] }))
    const config = await store.content.write(encodeImageConfig({ os: 'linux', architecture: 'amd64', author: comment, config: { Labels }, rootfs: { type: 'layers', diff_ids: stack.map(({ diffId }) => diffId) } }), mediaTypes.ociConfig)
    const manifest = await store.content.write(encodeDocument({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: blobs }), mediaTypes.ociManifest)
    store.images.put(manifest, config.digest, tags)
    images.push({ id: config.digest, manifest })
  }
  for (const { of, tags } of images.length === 0 ? [] : plan.indexes) {
    const manifests = [...new Map(of.map((number) => pick(images, number)).map(({ manifest }) => [manifest.digest, manifest])).values()]
    const index = await store.content.write(encodeDocument({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }), mediaTypes.ociIndex)
    store.images.put(index, index.digest, tags)
  }
  return images
}

async function makeMounts(store: Store, plan: RandomStore): Promise<void> {
  for (const [number, { files, hasLink }] of plan.mounts.entries()) {
    await using mount = await store.mounts.hold({ id: `mount ${number}`, uid: 0, gid: 0, mode: 0o755, sharing: 'shared', seed: undefined }, task)
    mkdirSync(join(mount.path, 'deep', 'er'), { recursive: true })
    files.forEach((bytes, each) => { writeFileSync(join(mount.path, 'deep', `f${each}`), 'z'.repeat(bytes)) })
    if (hasLink && files.length > 0) linkSync(join(mount.path, 'deep', 'f0'), join(mount.path, 'again'))
  }
}

function setAges(store: Store, plan: RandomStore, { layers, images }: { readonly layers: readonly Layer[]; readonly images: readonly StoredImage[] }): void {
  const { database } = getParts(store)
  const before = (hours: number): number => Date.now() - hours * hour
  database.transaction('durable', () => {
    plan.layers.forEach(({ age }, number) => database.run('UPDATE layers SET created_ms = ?, used_ms = ? WHERE chain_id = ?', before(age), before(age), layers[number]?.chainId ?? ''))
    plan.images.forEach(({ age }, number) => database.run('UPDATE images SET created_ms = ? WHERE id = ?', before(age), images[number]?.id ?? ''))
    plan.cache.forEach(({ age }, number) => database.run('UPDATE cache SET used_ms = ? WHERE key = ?', before(age), `step ${number}`))
    plan.mounts.forEach(({ age }, number) => database.run('UPDATE cache_mounts SET used_ms = ? WHERE id = ?', before(age), `mount ${number}`))
  })
}

function litter(root: string, { litter: counts }: RandomStore): void {
  const put = (path: string, bytes: number): string => {
    mkdirSync(join(root, path, '..'), { recursive: true })
    writeFileSync(join(root, path), 'w'.repeat(bytes))
    return join(root, path)
  }
  const times = (count: number, make: (number: number) => unknown): void => { for (let number = 0; number < count; number += 1) make(number) }
  times(counts.strays, (number) => {
    put(`content/blobs/sha256/${sha256(`stray ${number}`).slice(7)}`, 7000)
    put(`layers/zzz${number}/file`, 3000)
    put(`snapshots/zzy${number}/fs/file`, 100)
    put(`mounts/stray-${number}/file`, 2000)
  })
  times(counts.trash, (number) => put(`trash/${number}/deep/file`, 6000))
  times(counts.dead, (number) => put(`sessions/${number}/file`, 4000))
  times(counts.incoming, (number) => { if (number === 0) utimesSync(put(`incoming/${sha256(`old ${number}`).replace(':', '-')}`, 8000), 1, 1); else put(`incoming/${sha256(`new ${number}`).replace(':', '-')}`, 8000) })
  times(counts.quarantine, () => put('quarantine/damaged', 15_000))
}

/** Bottom first. */
function stackOf(layers: readonly Layer[], top: Layer): Layer[] {
  const below = layers.find(({ chainId }) => chainId === top.parent)
  return below === undefined ? [top] : [...stackOf(layers, below), top]
}

function pick<Each>(all: readonly Each[], number: number): Each {
  const found = all[number % all.length]
  if (found === undefined) throw new RangeError('there is none')
  return found
}
