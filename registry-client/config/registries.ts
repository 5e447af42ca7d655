import { readdir } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { AmbiguousName, InvalidConfiguration } from '../errors.ts'
import { classifyAddress } from '../http/address.ts'
import type { Trust } from '../http/message.ts'
import type { Reference } from '../reference.ts'
import { formatReference, isQualified, parseReference } from '../reference.ts'
import type { Environment } from './environment.ts'
import { belowUserConfig, variable } from './environment.ts'
import type { RegistriesFile, RegistryRule, ShortNameMode } from './registries-file.ts'
import { readRegistriesFile } from './registries-file.ts'

/** What all files together say. */
export interface RegistriesConfig {
  readonly searchRegistries: readonly string[]
  readonly shortNameMode: ShortNameMode
  readonly rules: readonly RegistryRule[]
  readonly aliases: ReadonlyMap<string, string>
}

/** What holds without any file. */
export const noRegistriesConfig: RegistriesConfig = { searchRegistries: [], shortNameMode: 'permissive', rules: [], aliases: new Map() }

const systemFile = '/etc/containers/registries.conf'
const systemDirectory = '/etc/containers/registries.conf.d'

/**
 * Reads the configuration that podman and its relatives share: CONTAINERS_REGISTRIES_CONF, else the user's file, else
 * the system's; then the drop-in files of CONTAINERS_REGISTRIES_CONF_DIR, else of the system unless the user's file was
 * read, and of the user. What a later file says takes the place of what an earlier one said.
 * @throws {InvalidConfiguration}
 * @see containers-registries.conf(5), containers-registries.conf.d(5)
 */
export async function loadRegistriesConfig(env: Environment): Promise<RegistriesConfig> {
  const main = await readMainFile(env)
  const paths = await Promise.all(dropInDirectories(env, main.isUsers).map(listDropIns))
  const dropIns = await Promise.all(paths.flat().map(readRegistriesFile))
  return [main.file, ...dropIns].filter((file) => file !== undefined).reduce(mergeFile, noRegistriesConfig)
}

async function readMainFile(env: Environment): Promise<{ file: RegistriesFile | undefined; isUsers: boolean }> {
  const explicit = variable(env, 'CONTAINERS_REGISTRIES_CONF')
  if (explicit !== undefined) {
    const file = await readRegistriesFile(explicit)
    if (file === undefined) throw new InvalidConfiguration(explicit, { text: 'does not exist, and CONTAINERS_REGISTRIES_CONF names it' })
    return { file, isUsers: false }
  }
  const users = belowUserConfig(env, 'containers', 'registries.conf')
  const usersFile = users === undefined ? undefined : await readRegistriesFile(users)
  return usersFile === undefined ? { file: await readRegistriesFile(systemFile), isUsers: false } : { file: usersFile, isUsers: true }
}

function dropInDirectories(env: Environment, isUsersFile: boolean): string[] {
  const explicit = variable(env, 'CONTAINERS_REGISTRIES_CONF_DIR')
  if (explicit !== undefined) return [explicit]
  const users = belowUserConfig(env, 'containers', 'registries.conf.d')
  return [...(isUsersFile ? [] : [systemDirectory]), ...(users === undefined ? [] : [users])]
}

async function listDropIns(directory: string): Promise<string[]> {
  try {
    const names = await readdir(directory)
    return names.filter((name) => name.endsWith('.conf')).sort().map((name) => join(directory, name))
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return []
    if (isErrno(error, 'EACCES', 'EPERM')) throw new InvalidConfiguration(directory, { text: `cannot be read: ${error.code}` })
    throw error
  }
}

function mergeFile(config: RegistriesConfig, file: RegistriesFile): RegistriesConfig {
  const prefixes = new Set(file.rules.map((rule) => rule.prefix))
  const aliases = new Map([...config.aliases, ...file.aliases])
  for (const [name, target] of aliases) if (target === '') aliases.delete(name)
  return {
    searchRegistries: file.searchRegistries ?? config.searchRegistries,
    shortNameMode: file.shortNameMode ?? config.shortNameMode,
    rules: [...config.rules.filter((rule) => !prefixes.has(rule.prefix)), ...file.rules],
    aliases,
  }
}

/**
 * What a name that a user typed may mean, most wanted first: itself when it names a registry, else its alias, else the
 * repository of that name in each search registry, else Docker Hub's. A caller pulls the first that exists.
 * @throws {MalformedReference}
 * @throws {AmbiguousName}
 */
export function resolveName(text: string, config: RegistriesConfig): readonly Reference[] {
  const reference = parseReference(text)
  if (isQualified(text)) return [reference]
  const [shortName = text] = text.split(/[:@]/u, 1)
  const alias = config.aliases.get(shortName)
  if (alias !== undefined) return [{ ...parseReference(alias), tag: reference.tag, digest: reference.digest }]
  if (config.searchRegistries.length === 0) return [reference]
  const rest = text.slice(shortName.length)
  const candidates = config.searchRegistries.map((registry) => parseReference(`${registry}/${shortName}${rest}`))
  if (config.shortNameMode === 'enforcing' && candidates.length > 1) throw new AmbiguousName(text, candidates.map(formatReference))
  return candidates
}

/** The rule with the longest prefix of the name, and what of the name lies behind that prefix. */
export function findRule(reference: Reference, config: RegistriesConfig): { rule: RegistryRule; rest: string } | undefined {
  const name = formatReference(reference)
  let found: { rule: RegistryRule; rest: string } | undefined
  for (const rule of config.rules) {
    const length = matchPrefix(name, rule.prefix)
    if (length !== undefined && (found === undefined || rule.prefix.length > found.rule.prefix.length)) found = { rule, rest: name.slice(length) }
  }
  return found
}

/**
 * The length of the name's part that the prefix stands for. A prefix without path is a whole registry, so "reg" says
 * nothing about "reg:5000", which may be somebody else's.
 */
function matchPrefix(name: string, prefix: string): number | undefined {
  const host = name.slice(0, name.indexOf('/'))
  if (prefix.startsWith('*.')) return host.endsWith(prefix.slice(1)) ? host.length : undefined
  if (!prefix.includes('/')) return host === prefix ? host.length : undefined
  if (!name.startsWith(prefix)) return undefined
  return name.length === prefix.length || /^[:/@]/u.test(name.slice(prefix.length)) ? prefix.length : undefined
}

/** What the rules and mirrors for this very host and port say of TLS: one that allows to do without decides. */
export function trustOf(host: string, config: RegistriesConfig): Trust {
  return trustOfSpellings([host], config)
}

/** The same for where an address leads. It has no port where that is its scheme's own, and the configuration may name that. */
export function trustOfUrl({ host, hostname, port, protocol }: URL, config: RegistriesConfig): Trust {
  return trustOfSpellings(port === '' ? [host, `${hostname}:${protocol === 'http:' ? '80' : '443'}`] : [host], config)
}

function trustOfSpellings(hosts: readonly [string, ...string[]], config: RegistriesConfig): Trust {
  const said = config.rules.flatMap((rule) => [
    ...(hosts.some((host) => standsFor(rule, host)) ? [rule.isInsecure] : []),
    ...rule.mirrors.filter(({ location }) => hosts.includes(hostOf(location))).map(({ isInsecure }) => isInsecure),
  ])
  return toTrust(hosts[0], said.includes(true) ? true : said.includes(false) ? false : undefined)
}

/** What is not said to be secure or insecure is checked, unless it is on this machine, where nobody listens in. */
export function toTrust(host: string, isInsecure: boolean | undefined): Trust {
  if (isInsecure !== undefined) return isInsecure ? 'unchecked' : 'checked'
  return isLoopbackName(host) ? 'unchecked-here' : 'checked'
}

/** `localhost` or an address of this machine, as such and not as what a name resolves to. */
function isLoopbackName(host: string): boolean {
  const { hostname } = new URL(`http://${host}`)
  return hostname === 'localhost' || (isIP(hostname.replace(/^\[|\]$/gu, '')) !== 0 && classifyAddress(hostname) === 'loopback')
}

function standsFor({ prefix, location }: RegistryRule, host: string): boolean {
  return location === undefined ? host.endsWith(prefix.slice(1)) : hostOf(location) === host
}

function hostOf(location: string): string {
  const slash = location.indexOf('/')
  return slash === -1 ? location : location.slice(0, slash)
}

/** The reference that a location stands for, `rest` being what followed the rule's prefix. @throws {MalformedReference} */
export function relocate(location: string, rest: string): Reference {
  return parseReference(location + rest, { defaultTag: undefined })
}
