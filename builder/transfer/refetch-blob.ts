import { TsbuildError } from '../../core/errors.ts'
import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { parseReference } from '../../registry-client/index.ts'
import type { Reference, RegistryClient } from '../../registry-client/index.ts'
import type { FetchBlob, Store } from '../../storage/index.ts'
import type { Engine } from '../engine.ts'

/** For repairing a store: blobs and manifests from the registries that the names of their images say. */
export function createBlobFetcher(engine: Engine): FetchBlob {
  return async (blob, names, task) => {
    if (names.length === 0) return false
    const { client } = await engine.registries()
    for (const name of names) {
      const reference = parseReference(name)
      if (await tryPlace(() => fetchLayerOrConfig(client, engine.store, { reference, blob, task }), task)) return true
      if (await tryPlace(() => fetchManifest(client, engine.store, { reference, blob, task }), task)) return true
    }
    return false
  }
}

interface Wanted {
  readonly reference: Reference
  readonly blob: Descriptor
  readonly task: Task
}

/** What one registry cannot give another may; what none gives stays missing, and is reported as that. */
async function tryPlace(take: () => Promise<void>, task: Task): Promise<boolean> {
  try {
    await take()
    return true
  } catch (error) {
    task.signal.throwIfAborted()
    if (error instanceof TsbuildError && error.code.startsWith('REGISTRY_')) return false
    throw error
  }
}

async function fetchLayerOrConfig(client: RegistryClient, store: Store, { reference, blob, task }: Wanted): Promise<void> {
  await store.content.ingest(blob, client.fetchBlob(reference, blob, silent(task)), task)
}

async function fetchManifest(client: RegistryClient, store: Store, { reference, blob, task }: Wanted): Promise<void> {
  const { descriptor, bytes } = await client.fetchManifest({ ...reference, digest: blob.digest }, task)
  await store.content.ingest(descriptor, once(bytes), task)
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve()
  yield bytes
}
