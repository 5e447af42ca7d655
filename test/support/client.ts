/** A client for tests: it knows only what the test tells it, and what makes it impatient a test of that says. */
import type { LookupFunction } from 'node:net'
import type { Credential } from '../../registry-client/config/credential-file.ts'
import type { CredentialSource } from '../../registry-client/config/credentials.ts'
import { noCredentials } from '../../registry-client/config/credentials.ts'
import type { ProxyChoice } from '../../registry-client/config/proxies.ts'
import type { RegistriesConfig } from '../../registry-client/config/registries.ts'
import { noRegistriesConfig } from '../../registry-client/config/registries.ts'
import type { RegistryRule } from '../../registry-client/config/registries-file.ts'
import { Secret } from '../../registry-client/config/secret.ts'
import type { RegistryClient } from '../../registry-client/client.ts'
import { createRegistryClient } from '../../registry-client/create-registry-client.ts'
import type { Limits } from '../../registry-client/http/limits.ts'
import type { UploadJournal } from '../../registry-client/transfer/upload-journal.ts'

export const impatient: Partial<Limits> = { connectMs: 8000, answerMs: 8000, commitMs: 8000, idleMs: 5000, documentMs: 8000, attempts: 3, backoffMs: 4, maxBackoffMs: 20, maxRetryAfterMs: 1500, operationMs: 25_000 }

export interface TestClientOptions {
  readonly insecure?: readonly string[]
  /** On this machine, where it goes without saying for others only. */
  readonly secure?: readonly string[]
  readonly proxies?: ProxyChoice
  readonly rules?: readonly RegistryRule[]
  readonly logins?: Readonly<Record<string, Credential>>
  readonly certificateDirectories?: readonly string[]
  readonly limits?: Partial<Limits>
  readonly lookup?: LookupFunction
  readonly journal?: UploadJournal
  readonly uploadChunkBytes?: number
}

export function createTestClient(options: TestClientOptions = {}): RegistryClient {
  const rules = [...(options.insecure ?? []).map(insecureRule), ...(options.secure ?? []).map(secureRule), ...(options.rules ?? [])]
  const registries: RegistriesConfig = { ...noRegistriesConfig, rules }
  return createRegistryClient({
    registries,
    credentials: options.logins === undefined ? noCredentials : loginSource(options.logins),
    certificateDirectories: options.certificateDirectories ?? [],
    userAgent: 'tsbuild-test',
    limits: { ...impatient, ...options.limits },
    ...(options.lookup === undefined ? {} : { lookup: options.lookup }),
    ...(options.journal === undefined ? {} : { journal: options.journal }),
    ...(options.uploadChunkBytes === undefined ? {} : { uploadChunkBytes: options.uploadChunkBytes }),
    ...(options.proxies === undefined ? {} : { proxies: options.proxies }),
  })
}

export function insecureRule(host: string): RegistryRule {
  return { prefix: host, location: host, isInsecure: true, isBlocked: false, mirrors: [], path: 'test' }
}

export function secureRule(host: string): RegistryRule {
  return { ...insecureRule(host), isInsecure: false }
}

function loginSource(logins: Readonly<Record<string, Credential>>): CredentialSource {
  return { find: ({ registry }) => Promise.resolve(logins[registry]) }
}

export function password(username: string, text: string): Credential {
  return { kind: 'password', username, password: new Secret(text) }
}

/** Names that lead to addresses of the test's choosing, one or several with blanks between. */
export function lookupTable(table: Readonly<Record<string, string>>): LookupFunction {
  return (hostname, options, done) => {
    const addresses = table[hostname]?.split(' ') ?? []
    const [address] = addresses
    if (address === undefined) done(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), '', 4)
    else if (options.all === true) done(null, addresses.map((each) => ({ address: each, family: 4 })))
    else done(null, address, 4)
  }
}
