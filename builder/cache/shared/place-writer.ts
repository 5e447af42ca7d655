import { allOrNone, createLimit } from '../../../core/limit.ts'
import type { Task } from '../../../core/task.ts'
import { silent } from '../../../core/task.ts'
import type { Descriptor } from '../../../oci/descriptor.ts'
import { mediaTypes } from '../../../oci/descriptor.ts'
import { parseReference } from '../../../registry-client/index.ts'
import type { Engine } from '../../engine.ts'
import type { BuildEvent } from '../../events.ts'
import { writeThere } from '../../output/no-room.ts'
import { noteOrigin, readOrigins } from '../../transfer/blob-origins.ts'
import type { CacheSource } from './cache-place.ts'
import { LayoutFolder } from './layout-folder.ts'

/** Where a cache is written: blobs first, then the manifest that its name points to. */
export interface PlaceWriter {
  /** The digest its name points to now. */
  current(): Promise<string | undefined>
  /** Those that are there already are not sent. @throws {BlobMissing} for one that neither the place nor the store has */
  putBlobs(blobs: readonly Descriptor[]): Promise<void>
  /** Points the name to a manifest whose blobs are there. */
  point(manifest: Uint8Array): Promise<void>
}

const concurrentUploads = 5

/** `isDistrusted`: blobs that a folder has are not believed to be what their names say. Registries check that themselves. */
export async function openWriter(engine: Engine, { place, isDistrusted }: { readonly place: CacheSource; readonly isDistrusted: boolean }, task: Task<BuildEvent>): Promise<PlaceWriter> {
  const writer = place.type === 'registry' ? await openRegistryWriter(engine, place.name, task) : openFolderWriter(engine, { place, isDistrusted }, task)
  const there = new Set<string>()
  return {
    ...writer,
    putBlobs: async (blobs) => {
      await writer.putBlobs(blobs.filter(({ digest }) => !there.has(digest)))
      for (const { digest } of blobs) there.add(digest)
    },
  }
}

async function openRegistryWriter(engine: Engine, name: string, task: Task<BuildEvent>): Promise<PlaceWriter> {
  const { store } = engine
  const { client } = await engine.registries()
  const reference = parseReference(name)
  const origins = await readOrigins(store)
  const quiet = silent(task)
  return {
    current: async () => (await client.resolve(reference, quiet))?.digest,
    putBlobs: async (blobs) => {
      const siblings = new AbortController()
      const signal = AbortSignal.any([task.signal, siblings.signal])
      const limit = createLimit(concurrentUploads, signal)
      const source = { read: (blob: Descriptor, readTask: Task) => store.content.read(blob, readTask), origins }
      await allOrNone(blobs.map((blob) => limit(() => client.pushBlob(reference, { blob, source }, { signal, emit: task.emit }))), (reason) => { siblings.abort(reason) })
      await noteOrigin(store, reference, blobs)
    },
    point: async (bytes) => { await client.pushManifest(reference, { bytes, mediaType: mediaTypes.ociManifest }, quiet) },
  }
}

function openFolderWriter({ store }: Engine, { place, isDistrusted }: { readonly place: Extract<CacheSource, { type: 'local' }>; readonly isDistrusted: boolean }, task: Task<BuildEvent>): PlaceWriter {
  const folder = new LayoutFolder(place.folder)
  return {
    current: () => Promise.resolve(folder.find(place.tag)?.digest),
    putBlobs: (blobs) => writeThere(place.folder, async () => { for (const blob of blobs) if (!folder.has(blob) || (isDistrusted && store.content.find(blob.digest) !== undefined)) await folder.put(blob, store.content.read(blob, silent(task))) }),
    point: (bytes) => writeThere(place.folder, async () => { await folder.tag(place.tag, { bytes, mediaType: mediaTypes.ociManifest }) }),
  }
}
