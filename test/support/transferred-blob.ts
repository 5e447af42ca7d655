/** A blob on its way between a test registry and a client that knows it to be without TLS. */
import { randomBytes } from 'node:crypto'
import type { BlobSource, RegistryClient } from '../../registry-client/client.ts'
import { createTestClient } from './client.ts'
import { appOf, collect, describeBytes, sourceOf } from './images.ts'
import type { TestRegistry } from './registry.ts'
import { startRegistry } from './registry.ts'
import { recordingTask } from './task.ts'

export const bytes: Buffer = randomBytes(3_000_000)
export const blob = describeBytes(bytes)
export const source: BlobSource = sourceOf(new Map([[blob.digest, bytes]]))

export async function startWithBlob(): Promise<TestRegistry> {
  const registry = await startRegistry()
  registry.blobs.set(blob.digest, bytes)
  return registry
}

/** @returns whether the right bytes came */
export async function pullBlob(registry: TestRegistry, client: RegistryClient = createTestClient({ insecure: [registry.host] })): Promise<boolean> {
  return bytes.equals(await collect(client.fetchBlob(appOf(registry), blob, recordingTask())))
}

/** What was asked for, in order: undefined is all of it. */
export function rangesOf(registry: TestRegistry): unknown[] {
  return registry.requests('GET', /blobs/u).map(({ headers }) => headers.range)
}

export async function pushBlob(registry: TestRegistry, client: RegistryClient = createTestClient({ insecure: [registry.host] }), from: BlobSource = source): Promise<void> {
  await client.pushBlob(appOf(registry), { blob, source: from }, recordingTask())
}

export function hasArrived(registry: TestRegistry): boolean {
  return registry.blobs.get(blob.digest)?.equals(bytes) === true
}
