import { readFile } from 'node:fs/promises'
import { isErrno } from '../../core/errors.ts'
import { MalformedDocument } from '../../oci/errors.ts'
import type { Json, JsonObject } from '../../oci/json.ts'
import { isObject, parseDocument } from '../../oci/json.ts'
import { InvalidConfiguration } from '../errors.ts'
import { dockerHub } from '../reference.ts'
import { Secret } from './secret.ts'

export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: Secret }
  /** Exchanged for access tokens at the token service, instead of a password. */
  | { readonly kind: 'identity-token'; readonly token: Secret }
  /** Sent to the registry as it is. */
  | { readonly kind: 'registry-token'; readonly token: Secret }

/** What docker's config.json and containers' auth.json have in common. Keys are `host[:port][/path]`. */
export interface CredentialFile {
  readonly path: string
  readonly entries: ReadonlyMap<string, { readonly key: string; readonly value: JsonObject }>
  /** Names of the helpers of single registries. */
  readonly helpers: ReadonlyMap<string, string>
  /** The helper for all registries. */
  readonly defaultHelper: string | undefined
}

/** The name under which Docker keeps Docker Hub's credentials, in files and towards helpers. */
const dockerHubServer = 'https://index.docker.io/v1/'
const dockerHubHosts: readonly string[] = ['index.docker.io', 'registry-1.docker.io', dockerHub]

/** What files and helpers call a registry. */
export function serverName(registry: string): string {
  return registry === dockerHub ? dockerHubServer : registry
}

/** One spelling for the keys that Docker and its relatives have written: without scheme, without /v1/. */
export function normalizeKey(key: string): string {
  const withoutScheme = key.replace(/^https?:\/\//u, '')
  const [host = '', ...path] = withoutScheme.replace(/\/+$/u, '').split('/')
  const isWholeRegistry = withoutScheme !== key || path.length === 0 || /^v[12]$/u.test(path.join('/'))
  const registry = dockerHubHosts.includes(host) ? dockerHub : host
  return isWholeRegistry ? registry : [registry, ...path].join('/')
}

/**
 * @returns undefined when there is no such file
 * @throws {InvalidConfiguration} without any of the contents
 */
export async function readCredentialFile(path: string): Promise<CredentialFile | undefined> {
  const document = await readCredentialDocument(path)
  if (document === undefined) return undefined
  const { auths, credHelpers, credsStore } = document
  return {
    path,
    entries: new Map(Object.entries(objectField(auths, { path, key: 'auths' })).map(([key, value]) => {
      if (!isObject(value)) throw new InvalidConfiguration(path, { key: `auths."${key}"`, text: 'is not an object' })
      return [normalizeKey(key), { key, value }]
    })),
    helpers: new Map(Object.entries(objectField(credHelpers, { path, key: 'credHelpers' })).map(([key, value]) => {
      if (typeof value !== 'string') throw new InvalidConfiguration(path, { key: `credHelpers."${key}"`, text: 'is not a text' })
      return [normalizeKey(key), value]
    })),
    defaultHelper: parseDefaultHelper(credsStore, path),
  }
}

/** The whole file as JSON. @throws {InvalidConfiguration} */
export async function readCredentialDocument(path: string): Promise<JsonObject | undefined> {
  let bytes
  try {
    bytes = await readFile(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    if (isErrno(error, 'EACCES', 'EPERM', 'EISDIR', 'ELOOP')) throw new InvalidConfiguration(path, { text: `cannot be read: ${error.code}` })
    throw error
  }
  if (bytes.byteLength === 0) return {}
  try {
    return parseDocument(bytes, 'credential file')
  } catch (error) {
    // The parser's message could quote a secret, so it is neither repeated nor kept as the cause.
    if (error instanceof MalformedDocument) throw new InvalidConfiguration(path, { text: 'is not a JSON object of unique keys in UTF-8' })
    throw error
  }
}

function objectField(value: Json | undefined, place: { path: string; key: string }): JsonObject {
  if (value === undefined || value === null) return {}
  if (!isObject(value)) throw new InvalidConfiguration(place.path, { key: place.key, text: 'is not an object' })
  return value
}

function parseDefaultHelper(value: Json | undefined, path: string): string | undefined {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string') throw new InvalidConfiguration(path, { key: 'credsStore', text: 'is not a text' })
  return value
}

/**
 * The credential of an entry of `auths`, undefined when the entry holds none, as where a helper keeps it.
 * @throws {InvalidConfiguration}
 */
export function parseEntry({ path, key, value }: { path: string; key: string; value: JsonObject }): Credential | undefined {
  const text = (field: string): string | undefined => {
    const content = value[field]
    if (content === undefined || content === null || content === '') return undefined
    if (typeof content !== 'string') throw new InvalidConfiguration(path, { key: `auths."${key}".${field}`, text: 'is not a text' })
    return content
  }
  const registryToken = text('registrytoken')
  if (registryToken !== undefined) return { kind: 'registry-token', token: new Secret(registryToken) }
  const identityToken = text('identitytoken')
  if (identityToken !== undefined) return { kind: 'identity-token', token: new Secret(identityToken) }
  const auth = text('auth')
  if (auth !== undefined) return decodeAuth(auth, { path, key })
  const username = text('username')
  const password = text('password')
  return username === undefined || password === undefined ? undefined : { kind: 'password', username, password: new Secret(password) }
}

/** base64 of `username:password`; the password may have colons of its own. */
function decodeAuth(auth: string, place: { path: string; key: string }): Credential {
  const decoded = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/u.test(auth) ? Buffer.from(auth, 'base64').toString() : ''
  const colon = decoded.indexOf(':')
  if (colon < 1) throw new InvalidConfiguration(place.path, { key: `auths."${place.key}".auth`, text: 'is not base64 of username:password' })
  return { kind: 'password', username: decoded.slice(0, colon), password: new Secret(decoded.slice(colon + 1).replace(/\0+$/u, '')) }
}
