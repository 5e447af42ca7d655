import type { Task } from '../core/task.ts'
import type { Digest } from '../oci/digest.ts'
import type { Reference, RegistryClient } from '../registry-client/index.ts'

/** What a name leads to now. @throws {ManifestUnknown} */
export async function findDigest(client: RegistryClient, reference: Reference, task: Task): Promise<Digest> {
  const { formatReference, ManifestUnknown } = await import('../registry-client/index.ts')
  const found = await client.resolve(reference, task)
  if (found === undefined) throw new ManifestUnknown(formatReference(reference), reference.registry)
  return found.digest
}
