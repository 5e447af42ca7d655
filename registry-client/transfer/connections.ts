import type { RateLimits } from '../content/rate-limits.ts'
import { createRateLimits } from '../content/rate-limits.ts'
import type { CredentialSource } from '../config/credentials.ts'
import type { RegistriesConfig } from '../config/registries.ts'
import { trustOf } from '../config/registries.ts'
import type { Endpoint } from '../http/endpoint.ts'
import { createEndpoint } from '../http/endpoint.ts'
import type { Limits } from '../http/limits.ts'
import type { Transport } from '../http/message.ts'
import { createPacing } from '../http/retry.ts'
import type { Place, PlaceMemory } from './places.ts'
import { createPlaceMemory } from './places.ts'

/** What all calls of one client share. */
export interface Connections {
  readonly registries: RegistriesConfig
  readonly limits: Limits
  readonly memory: PlaceMemory
  readonly rateLimits: RateLimits
  /** One for each repository, as credentials may be a single repository's. */
  endpoint(place: Place): Endpoint
}

export function createConnections({ registries, credentials, transport, limits }: { registries: RegistriesConfig; credentials: CredentialSource; transport: Transport; limits: Limits }): Connections {
  const endpoints = new Map<string, Endpoint>()
  const pacing = createPacing()
  return {
    registries,
    limits,
    memory: createPlaceMemory(),
    rateLimits: createRateLimits(),
    endpoint: ({ host, repository, trust }) => {
      const key = `${host}/${repository} ${trust}`
      const endpoint = endpoints.get(key) ?? createEndpoint({
        host, trust, transport, limits, pacing,
        findCredential: (task) => credentials.find({ registry: host, repository }, task),
        trustOf: (other) => trustOf(other, registries),
      })
      endpoints.set(key, endpoint)
      return endpoint
    },
  }
}
