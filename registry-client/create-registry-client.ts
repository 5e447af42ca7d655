import type { LookupFunction } from 'node:net'
import type { RegistryCatalog, RegistryClient } from './client.ts'
import { certificateDirectories } from './config/certificates.ts'
import type { CredentialSource } from './config/credentials.ts'
import { loadCredentials } from './config/credentials.ts'
import type { Environment } from './config/environment.ts'
import type { ProxyChoice } from './config/proxies.ts'
import { loadProxies, noProxies } from './config/proxies.ts'
import type { RegistriesConfig } from './config/registries.ts'
import { loadRegistriesConfig } from './config/registries.ts'
import { checkAccess, listRepositories, listTags } from './content/listing.ts'
import { pushManifest } from './content/push-manifest.ts'
import { listReferrers } from './content/referrers.ts'
import { deleteBlob, deleteManifest } from './content/removal.ts'
import type { Limits } from './http/limits.ts'
import { defaultLimits } from './http/limits.ts'
import type { Connections } from './transfer/connections.ts'
import { createConnections } from './transfer/connections.ts'
import { fetchBlob } from './transfer/download.ts'
import { fetchManifest, resolveManifest } from './transfer/manifests.ts'
import type { UploadJournal } from './transfer/upload-journal.ts'
import { pushBlob } from './transfer/upload.ts'
import { pushGrowing } from './transfer/growing-upload.ts'
import { createTransport } from './transport.ts'

export interface RegistryClientOptions {
  readonly registries: RegistriesConfig
  readonly credentials: CredentialSource
  /** Folders with a folder of certificates for each host and port. */
  readonly certificateDirectories: readonly string[]
  /** None unless given. */
  readonly proxies?: ProxyChoice
  readonly userAgent: string
  /** Where they differ from the defaults. */
  readonly limits?: Partial<Limits>
  /** Where uploads are noted that another process could have to go on with; nowhere unless given. */
  readonly journal?: UploadJournal
  /** How many bytes of a blob one request carries at most, where the registry does not want it otherwise. */
  readonly uploadChunkBytes?: number
  /** How names become addresses; the system's way unless given. */
  readonly lookup?: LookupFunction
}

/** A client that shares connections, access tokens and what it learns of mirrors among its calls. Idle connections do not keep the process alive. */
export function createRegistryClient(options: RegistryClientOptions): RegistryClient {
  const limits: Limits = { ...defaultLimits, ...options.limits }
  const connections = createConnections({ ...options, limits, transport: createTransport({ proxies: noProxies, ...options, limits }) })
  return {
    resolve: (reference, task) => resolveManifest(connections, reference, task),
    fetchManifest: (reference, task) => fetchManifest(connections, reference, task),
    fetchBlob: (repository, blob, task) => fetchBlob(connections, { repository, blob, fromByte: 0, isChecked: true }, task),
    continueBlob: (repository, part, task) => fetchBlob(connections, { repository, ...part, isChecked: false }, task),
    pushBlob: (repository, upload, task) => pushBlob(connections, { repository, ...upload }, task),
    pushGrowing: (repository, growing, task) => pushGrowing(connections, { repository, growing }, task),
    pushManifest: (reference, manifest, task) => pushManifest(connections, { reference, ...manifest }, task),
    catalog: createCatalog(connections),
  }
}

function createCatalog(connections: Connections): RegistryCatalog {
  return {
    tags: (repository, task) => listTags(connections, repository, task),
    repositories: (registry, task) => listRepositories(connections, registry, task),
    referrers: (subject, artifactType, task) => listReferrers(connections, { subject, artifactType }, task),
    deleteManifest: (reference, task) => deleteManifest(connections, reference, task),
    deleteBlob: (repository, digest, task) => deleteBlob(connections, { repository, digest }, task),
    checkAccess: (registry, task) => checkAccess(connections, registry, task),
    rateLimits: () => connections.rateLimits.list(),
  }
}

export interface OpenOptions {
  readonly userAgent: string
  /** Instead of those that are stored. */
  readonly credentials?: CredentialSource
  /** Where they have been read already. */
  readonly registries?: RegistriesConfig
  readonly journal?: UploadJournal
  readonly uploadChunkBytes?: number
}

/** A client configured as docker and podman are on this machine. @throws {InvalidConfiguration} */
export async function openRegistryClient(env: Environment, options: OpenOptions): Promise<RegistryClient> {
  const [registries, credentials] = await Promise.all([options.registries ?? loadRegistriesConfig(env), options.credentials ?? loadCredentials(env)])
  return createRegistryClient({ ...options, registries, credentials, certificateDirectories: certificateDirectories(env), proxies: loadProxies(env) })
}
