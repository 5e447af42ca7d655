import type { RateLimits } from '../content/rate-limits.ts'
import { createRateLimits } from '../content/rate-limits.ts'
import type { CredentialSource } from '../config/credentials.ts'
import type { RegistriesConfig } from '../config/registries.ts'
import { trustOfUrl } from '../config/registries.ts'
import type { Endpoint } from '../http/endpoint.ts'
import { createEndpoint } from '../http/endpoint.ts'
import type { Limits } from '../http/limits.ts'
import type { Transport } from '../http/message.ts'
import { createPacing } from '../http/retry.ts'
import type { ChunkSizes } from './chunk-sizes.ts'
import { createChunkSizes, defaultChunkBytes } from './chunk-sizes.ts'
import type { Place, PlaceMemory } from './places.ts'
import { createPlaceMemory } from './places.ts'
import type { UploadJournal } from './upload-journal.ts'
import { noJournal } from './upload-journal.ts'

/** What all calls of one client share. */
export interface Connections {
  readonly registries: RegistriesConfig
  readonly limits: Limits
  readonly memory: PlaceMemory
  readonly rateLimits: RateLimits
  readonly chunkSizes: ChunkSizes
  readonly journal: UploadJournal
  /** One for each repository, as credentials may be a single repository's. */
  endpoint(place: Place): Endpoint
}

export interface ConnectionsOptions {
  readonly registries: RegistriesConfig
  readonly credentials: CredentialSource
  readonly transport: Transport
  readonly limits: Limits
  readonly journal?: UploadJournal
  readonly uploadChunkBytes?: number
}

export function createConnections({ registries, credentials, transport, limits, journal = noJournal, uploadChunkBytes = defaultChunkBytes }: ConnectionsOptions): Connections {
  const endpoints = new Map<string, Endpoint>()
  const pacing = createPacing()
  return {
    registries,
    limits,
    memory: createPlaceMemory(),
    rateLimits: createRateLimits(),
    chunkSizes: createChunkSizes(uploadChunkBytes),
    journal,
    endpoint: ({ host, repository, trust }) => {
      const key = `${host}/${repository} ${trust}`
      const endpoint = endpoints.get(key) ?? createEndpoint({
        host, trust, transport, limits, pacing,
        findCredential: (task) => credentials.find({ registry: host, repository }, task),
        trustOf: (url) => trustOfUrl(url, registries),
      })
      endpoints.set(key, endpoint)
      return endpoint
    },
  }
}
