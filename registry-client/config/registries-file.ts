import { readFile } from 'node:fs/promises'
import { isErrno } from '../../core/errors.ts'
import { InvalidConfiguration, MalformedReference } from '../errors.ts'
import { isQualified, parseReference } from '../reference.ts'

export type PullFrom = 'all' | 'digest-only' | 'tag-only'
export type ShortNameMode = 'enforcing' | 'permissive' | 'disabled'

export interface Mirror {
  /** host[:port][/path], which takes the place of the rule's prefix. */
  readonly location: string
  readonly isInsecure: boolean | undefined
  readonly pullFrom: PullFrom
}

/** One `[[registry]]` table: what holds for the images whose canonical name starts with `prefix`. */
export interface RegistryRule {
  readonly prefix: string
  /** undefined leaves names as they are. */
  readonly location: string | undefined
  /** undefined where the file does not say. */
  readonly isInsecure: boolean | undefined
  readonly isBlocked: boolean
  readonly mirrors: readonly Mirror[]
  /** The file that says so. */
  readonly path: string
}

/** What one file says; undefined is what it does not mention. */
export interface RegistriesFile {
  readonly searchRegistries: readonly string[] | undefined
  readonly shortNameMode: ShortNameMode | undefined
  readonly rules: readonly RegistryRule[]
  /** By short name; an empty value takes an alias of an earlier file away. */
  readonly aliases: ReadonlyMap<string, string>
}

type Table = Readonly<Record<string, unknown>>
interface Place { readonly path: string; readonly key: string }

/**
 * Reads one file in the second version of the format. A key we do not know is an error, because it may be one that
 * forbids something. @returns undefined when there is no such file
 * @throws {InvalidConfiguration} naming file and key
 * @see containers-registries.conf(5)
 */
export async function readRegistriesFile(path: string): Promise<RegistriesFile | undefined> {
  let text
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    if (isErrno(error, 'EACCES', 'EPERM', 'EISDIR')) throw new InvalidConfiguration(path, { text: `cannot be read: ${error.code}` })
    throw error
  }
  return parseRegistriesFile(await parseToml(text, path), path)
}

async function parseToml(text: string, path: string): Promise<Table> {
  const { parse, TomlError } = await import('smol-toml')
  try {
    return parse(text)
  } catch (error) {
    if (error instanceof TomlError) throw new InvalidConfiguration(path, { text: `is not TOML: line ${error.line}, column ${error.column}` })
    throw error
  }
}

function parseRegistriesFile(root: Table, path: string): RegistriesFile {
  if (root['registries'] !== undefined) {
    throw new InvalidConfiguration(path, { key: 'registries', text: 'is of the first version of the format; write [[registry]] tables and unqualified-search-registries' })
  }
  refuseUnknown(root, ['unqualified-search-registries', 'short-name-mode', 'registry', 'aliases', 'credential-helpers', 'additional-layer-store-auth-helper'], { path, key: '' })
  refuseHelpers(root, path)
  const search = texts(root['unqualified-search-registries'], { path, key: 'unqualified-search-registries' })
  return {
    searchRegistries: search?.map((host) => checkLocation(host, { path, key: 'unqualified-search-registries' })),
    shortNameMode: shortNameMode(root['short-name-mode'], path),
    rules: tables(root['registry'], { path, key: 'registry' }).map((table, index) => parseRule(table, { path, key: `registry[${index}]` })),
    aliases: parseAliases(root['aliases'], path),
  }
}

/** Helpers come from the credential files; the one reserved value says just that. */
function refuseHelpers(root: Table, path: string): void {
  const place = { path, key: 'credential-helpers' }
  const other = texts(root['credential-helpers'], place)?.find((helper) => helper !== 'containers-auth.json')
  if (other !== undefined) fail(place, `"${other}" is not supported here; name it as credsStore or in credHelpers of ~/.docker/config.json`)
}

function shortNameMode(value: unknown, path: string): ShortNameMode | undefined {
  if (value === undefined || value === '') return undefined
  if (value === 'enforcing' || value === 'permissive' || value === 'disabled') return value
  return fail({ path, key: 'short-name-mode' }, 'is not "enforcing", "permissive" or "disabled"')
}

function parseRule(table: Table, place: Place): RegistryRule {
  refuseUnknown(table, ['prefix', 'location', 'insecure', 'blocked', 'mirror', 'mirror-by-digest-only'], place)
  const location = optionalText(table['location'], at(place, 'location'))
  const prefix = optionalText(table['prefix'], at(place, 'prefix')) ?? location
  if (prefix === undefined) fail(place, 'has neither prefix nor location')
  const isWildcard = prefix.startsWith('*.')
  if (location === undefined && !isWildcard) fail(at(place, 'location'), 'is missing; only a prefix of the form "*.host" may leave it out')
  if (isWildcard && prefix.includes('/')) fail(at(place, 'prefix'), 'may not have a path behind "*.host"')
  checkLocation(isWildcard ? prefix.slice(2) : prefix, at(place, 'prefix'))
  const isDigestOnly = flag(table['mirror-by-digest-only'], at(place, 'mirror-by-digest-only'))
  return {
    prefix: trimSlash(prefix),
    location: location === undefined ? undefined : checkLocation(location, at(place, 'location')),
    isInsecure: optionalFlag(table['insecure'], at(place, 'insecure')),
    isBlocked: flag(table['blocked'], at(place, 'blocked')),
    mirrors: tables(table['mirror'], at(place, 'mirror')).map((mirror, index) => parseMirror(mirror, { isDigestOnly, place: at(place, `mirror[${index}]`) })),
    path: place.path,
  }
}

function parseMirror(table: Table, { isDigestOnly, place }: { isDigestOnly: boolean; place: Place }): Mirror {
  refuseUnknown(table, ['location', 'insecure', 'pull-from-mirror'], place)
  const location = optionalText(table['location'], at(place, 'location'))
  if (location === undefined) fail(at(place, 'location'), 'is missing')
  const pullFrom = optionalText(table['pull-from-mirror'], at(place, 'pull-from-mirror'))
  if (pullFrom !== undefined && isDigestOnly) fail(at(place, 'pull-from-mirror'), 'cannot be combined with mirror-by-digest-only')
  if (pullFrom !== undefined && pullFrom !== 'all' && pullFrom !== 'digest-only' && pullFrom !== 'tag-only') {
    fail(at(place, 'pull-from-mirror'), 'is not "all", "digest-only" or "tag-only"')
  }
  return {
    location: checkLocation(location, at(place, 'location')),
    isInsecure: optionalFlag(table['insecure'], at(place, 'insecure')),
    pullFrom: pullFrom ?? (isDigestOnly ? 'digest-only' : 'all'),
  }
}

function parseAliases(value: unknown, path: string): Map<string, string> {
  const aliases = new Map<string, string>()
  if (value === undefined) return aliases
  for (const [name, target] of Object.entries(table(value, { path, key: 'aliases' }))) {
    const place = { path, key: `aliases."${name}"` }
    if (typeof target !== 'string') fail(place, 'is not a text')
    checkAlias(name, target, place)
    aliases.set(name, target)
  }
  return aliases
}

function checkAlias(name: string, target: string, place: Place): void {
  try {
    if (isQualified(name) || isTagged(name)) fail(place, 'is not a short name without tag and digest')
    if (target !== '' && (!isQualified(target) || isTagged(target))) fail(place, 'is not registry and repository without tag and digest')
  } catch (error) {
    if (error instanceof MalformedReference) fail(place, 'is not an image name')
    throw error
  }
}

function isTagged(name: string): boolean {
  const { tag, digest } = parseReference(name, { defaultTag: undefined })
  return tag !== undefined || digest !== undefined
}

/** host[:port][/path][:tag|@digest], without scheme. */
function checkLocation(text: string, place: Place): string {
  if (text.includes('://')) fail(place, 'may not have a scheme; "insecure = true" allows http')
  const location = trimSlash(text)
  if (!/^[a-zA-Z0-9[][^\s/?#]*(?:\/[^\s?#]+)?$/u.test(location) || !URL.canParse(`https://${location}`)) fail(place, `"${text}" is not of the form host[:port][/path]`)
  return location
}

function trimSlash(text: string): string {
  return text.endsWith('/') ? text.slice(0, -1) : text
}

function refuseUnknown(table: Table, known: readonly string[], place: Place): void {
  const unknown = Object.keys(table).find((key) => !known.includes(key))
  if (unknown !== undefined) fail(place.key === '' ? { path: place.path, key: unknown } : at(place, unknown), 'is not a known key')
}

function table(value: unknown, place: Place): Table {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) fail(place, 'is not a table')
  return value as Table
}

function tables(value: unknown, place: Place): Table[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) fail(place, `is not an array of tables; write [[${place.key.replaceAll(/\[\d+\]/gu, '')}]]`)
  return value.map((item: unknown, index) => table(item, { path: place.path, key: `${place.key}[${index}]` }))
}

function texts(value: unknown, place: Place): string[] | undefined {
  if (value === undefined) return undefined
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) fail(place, 'is not an array of texts')
  return value
}

function optionalText(value: unknown, place: Place): string | undefined {
  if (value === undefined || value === '') return undefined
  if (typeof value !== 'string') fail(place, 'is not a text')
  return value
}

function flag(value: unknown, place: Place): boolean {
  return optionalFlag(value, place) ?? false
}

function optionalFlag(value: unknown, place: Place): boolean | undefined {
  if (value !== undefined && typeof value !== 'boolean') fail(place, 'is not true or false')
  return value
}

function at(place: Place, key: string): Place {
  return { path: place.path, key: `${place.key}.${key}` }
}

function fail({ path, key }: Place, text: string): never {
  throw new InvalidConfiguration(path, { key, text })
}
