import type { Reference, RegistryAccess, RegistryClient } from '../../registry-client/index.ts'
import { AllPlacesFailed, ManifestUnknown } from '../../registry-client/index.ts'
import { ImageUnavailable } from '../errors.ts'

/**
 * Asks the registry of a name, or with a short name the search registries in turn until one has it.
 * @throws {ImageUnavailable} with what each registry answered
 */
export async function askInTurn<T>({ client, references }: Pick<RegistryAccess, 'client' | 'references'>, name: string, ask: (client: RegistryClient, reference: Reference) => Promise<T>): Promise<T> {
  const failures: unknown[] = []
  for (const reference of references(name)) {
    try {
      return await ask(client, reference)
    } catch (error) {
      if (!(error instanceof ManifestUnknown || error instanceof AllPlacesFailed)) throw error
      failures.push(error)
    }
  }
  throw failures.length === 1 ? failures[0] : new ImageUnavailable(name, `none of ${failures.length} registries has it`, { cause: new AggregateError(failures) })
}
