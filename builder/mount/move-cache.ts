import { readdirSync, rmSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import type { Writable } from 'node:stream'
import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import { layerMediaType, mediaTypes } from '../../oci/descriptor.ts'
import { MalformedDocument } from '../../oci/errors.ts'
import type { Manifest } from '../../oci/manifest.ts'
import { encodeDocument } from '../../oci/manifest.ts'
import type { TransferEvent } from '../../registry-client/index.ts'
import { parseReference } from '../../registry-client/index.ts'
import type { CacheMount, Store } from '../../storage/index.ts'
import { compress, decompress, exportTree, packChangeset, packFolder } from '../../storage/index.ts'
import { writeStream } from '../archive/archive-sink.ts'
import type { Engine } from '../engine.ts'
import { OutputConflict } from '../errors.ts'
import { writeThere } from '../output/no-room.ts'
import { makeOutputFolder, writeOutputFile } from '../output/output-file.ts'
import { uploadPortable } from '../transfer/push.ts'
import { CacheMountUnsuitable } from './errors.ts'

/** Which cache mount something becomes; the same fields mean the same one. What is not said is as in the place, if that says it, or as mounts have it that say nothing. */
export interface CacheIdentity extends Partial<Pick<CacheMount, 'uid' | 'gid' | 'mode'>> {
  readonly id: string
}

/** What became of an import. */
export interface ImportedCacheMount extends Pick<CacheMount, 'uid' | 'gid' | 'mode'> {
  /** Of the directory itself, as it was where it came from. */
  readonly owner: { readonly uid: number; readonly gid: number; readonly mode: number }
}

/** Where a cache mount's files go to, or come from. */
export type CachePlace =
  | { readonly kind: 'folder'; readonly path: string }
  /** A tar, plain or, when read, compressed. */
  | { readonly kind: 'tar'; readonly bytes: AsyncIterable<Uint8Array> }
  | { readonly kind: 'registry'; readonly name: string }

export const cacheMountType = 'application/vnd.tsbuild.cache-mount.v1'
const maxTarBytes = 2 ** 40

/** The cache mounts whose id, as the Dockerfile says it or behind its namespace, or whose name in the store is this. */
export async function findCacheMounts(store: Store, idOrName: string, task: Task): Promise<CacheMount[]> {
  return (await store.mounts.list(task)).filter((mount) => shownId(mount) === idOrName || mount.name === idOrName)
}

/** Without BUILDKIT_CACHE_MOUNT_NS the namespace is empty, and an id begins with the slash that follows it. */
export function shownId({ id }: Pick<CacheMount, 'id'>): string {
  return id.startsWith('/') ? id.slice(1) : id
}

/** @throws {CacheMountUnsuitable} when there is none, or more than one */
export async function getCacheMount(store: Store, idOrName: string, task: Task): Promise<CacheMount> {
  const found = await findCacheMounts(store, idOrName, task)
  const [mount] = found
  if (mount === undefined) throw new CacheMountUnsuitable(idOrName, 'there is none')
  if (found.length > 1) throw new CacheMountUnsuitable(idOrName, `there are ${found.length}, of other owners, modes or beginnings, or private; give one of the names ${found.map(({ name }) => name).join(', ')}`)
  return mount
}

export type CacheTargetPlace =
  | { readonly kind: 'folder'; readonly path: string }
  /** A tar. */
  | { readonly kind: 'file'; readonly path: string }
  /** Gets a tar. */
  | { readonly kind: 'stream'; readonly stream: Writable }
  | { readonly kind: 'registry'; readonly name: string }

/** Reads the files while no build uses them. @throws {OutputConflict} */
export async function exportCacheMount(engine: Engine, { mount, to }: { mount: CacheMount; to: CacheTargetPlace }, task: Task<TransferEvent>): Promise<void> {
  const { store } = engine
  await using held = await store.mounts.hold({ ...mount, sharing: 'locked', seed: seedOf(mount) }, silent(task))
  const files = packFolder(held.path, silent(task))
  switch (to.kind) {
    case 'folder':
      await writeThere(to.path, () => writeFolder(to.path, files, silent(task)))
      return
    case 'file':
      // A cache can hold what only those may read who build.
      await writeThere(to.path, () => writeOutputFile(to.path, 0o600, files))
      return
    case 'stream':
      await writeStream(to.stream, files)
      return
    case 'registry': {
      const layer = await store.content.add(compress(files, 'gzip'), layerMediaType('gzip'), silent(task))
      const config = await store.content.write(Buffer.from('{}'), mediaTypes.ociEmpty)
      const manifest: Manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, artifactType: cacheMountType, config, layers: [layer], annotations: writeIdentity(mount) }
      await uploadPortable(engine, { name: to.name, portable: { manifest, bytes: encodeDocument(manifest), mediaType: mediaTypes.ociManifest } }, task)
    }
  }
}

/**
 * Makes a cache mount of files. One that has files already is left as it is.
 * @throws {CacheMountUnsuitable} @throws {HostileArchive} and leaves no cache mount behind
 */
export async function importCacheMount(engine: Engine, { identity, namespace, from }: { identity: CacheIdentity; namespace: string; from: CachePlace }, task: Task<TransferEvent>): Promise<ImportedCacheMount> {
  const { mounts } = engine.store
  const place = await openPlace(engine, from, task)
  const { uid, gid, mode, seed } = { ...usualIdentity, ...place.identity, ...identity }
  const held = await mounts.hold({ id: `${namespace}/${identity.id}`, uid, gid, mode, sharing: 'locked', seed: seed === '' ? undefined : { name: seed, changeset: () => packChangeset([], silent(task)) } }, silent(task))
  let isDone = false
  try {
    if (readdirSync(held.path).length > 0) {
      isDone = true
      throw new CacheMountUnsuitable(identity.id, 'it has files already; remove it first')
    }
    await exportTree(held.path, await place.open(), silent(task))
    isDone = true
    const there = statSync(held.path)
    return { uid, gid, mode, owner: { uid: there.uid, gid: there.gid, mode: there.mode & permissions } }
  } finally {
    await held[Symbol.asyncDispose]()
    if (!isDone) await mounts.remove(basename(held.path), { signal: new AbortController().signal, emit: () => undefined })
  }
}

interface OpenedPlace {
  /** As far as the place says what was exported. */
  readonly identity: Partial<Identity>
  readonly open: () => AsyncIterable<Uint8Array> | Promise<AsyncIterable<Uint8Array>>
}

type Identity = Pick<CacheMount, 'uid' | 'gid' | 'mode' | 'seed'>

const usualIdentity: Identity = { uid: 0, gid: 0, mode: 0o755, seed: '' }
const permissions = 0o7777
const annotationPrefix = 'vnd.tsbuild.cache-mount.'

function writeIdentity({ id, uid, gid, mode, seed }: CacheMount): Record<string, string> {
  return Object.fromEntries(Object.entries({ id, uid: String(uid), gid: String(gid), mode: mode.toString(8), seed }).map(([name, value]) => [annotationPrefix + name, value]))
}

function readIdentity({ annotations = {} }: Manifest): Partial<Identity> {
  const read = (name: string, pattern: RegExp): string | undefined => pattern.exec(annotations[annotationPrefix + name] ?? '')?.[0]
  const [uid, gid, mode, seed] = [read('uid', /^\d{1,10}$/u), read('gid', /^\d{1,10}$/u), read('mode', /^[0-7]{1,5}$/u), read('seed', /^.+$/su)]
  return {
    ...uid === undefined ? {} : { uid: Number(uid) }, ...gid === undefined ? {} : { gid: Number(gid) },
    ...mode === undefined ? {} : { mode: Number.parseInt(mode, 8) }, ...seed === undefined ? {} : { seed },
  }
}

async function openPlace(engine: Engine, from: CachePlace, task: Task<TransferEvent>): Promise<OpenedPlace> {
  switch (from.kind) {
    case 'folder': return { identity: {}, open: () => packFolder(from.path, silent(task)) }
    case 'tar': return { identity: {}, open: async () => (await decompress(from.bytes, maxTarBytes)).bytes }
    case 'registry': {
      const { client } = await engine.registries()
      const reference = parseReference(from.name)
      const { document } = await client.fetchManifest(reference, silent(task))
      const manifest = document.kind === 'manifest' && document.manifest.artifactType === cacheMountType ? document.manifest : undefined
      const layer = manifest?.layers[0]
      if (manifest === undefined || layer === undefined) throw new MalformedDocument('manifest', `"${from.name}" is no cache mount`)
      return { identity: readIdentity(manifest), open: async () => (await decompress(client.fetchBlob(reference, layer, task), maxTarBytes)).bytes }
    }
  }
}

/** It is there: what it began with is not asked for. */
function seedOf({ seed, id }: CacheMount): { name: string; changeset: () => AsyncIterable<Uint8Array> } | undefined {
  if (seed === '') return undefined
  return { name: seed, changeset: () => { throw new CacheMountUnsuitable(id, 'it was removed meanwhile') } }
}

async function writeFolder(path: string, files: AsyncIterable<Uint8Array>, task: Task): Promise<void> {
  if (!makeOutputFolder(path) && readdirSync(path).length > 0) throw new OutputConflict(path, 'the folder is not empty')
  try {
    await exportTree(path, files, task)
  } catch (error) {
    rmSync(path, { recursive: true, force: true })
    throw error
  }
}
