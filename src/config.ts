import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { isErrno } from '../core/errors.ts'
import { UsageError } from './errors.ts'
import type { PolicyTexts } from './prune-options.ts'
import { policyKeys } from './prune-options.ts'

/** Defaults that a file sets. What it says nothing about is undefined or empty. */
export interface Config {
  /** What `tsbuild gc` does without options, one policy after the other. */
  readonly gc: readonly PolicyTexts[]
  /** Of `build` and `run`: values of options that the command line says nothing of, by their names. */
  readonly containers: ReadonlyMap<string, readonly string[]>
}

/** Options that section containers may set: limits, network, runtime and the like, and nothing that loosens confinement. */
export const containerKeys: readonly string[] = [
  'network', 'userns', 'cap-drop', 'memory', 'memory-swap', 'memory-reservation', 'memory-swappiness', 'cpus', 'cpu-shares', 'cpuset-cpus', 'cpuset-mems', 'pids-limit', 'blkio-weight',
  'device-read-bps', 'device-write-bps', 'device-read-iops', 'device-write-iops', 'ulimit', 'shm-size', 'add-host', 'dns', 'dns-search', 'dns-option', 'isolation', 'runtime',
]

/** Says in a user namespace where the file is of the user who called. */
export const callersConfig = 'TSBUILD_CALLERS_CONFIG'

/** `TSBUILD_CONFIG`, else /etc/tsbuild/config.toml as root and config.toml in the XDG configuration folder otherwise. */
export function configPath(env: NodeJS.ProcessEnv): string {
  const given = env['TSBUILD_CONFIG']
  if (given !== undefined && given !== '') return given
  const callers = env[callersConfig]
  if (callers !== undefined) return callers
  if (process.getuid?.() === 0) return '/etc/tsbuild/config.toml'
  return join(env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config'), 'tsbuild', 'config.toml')
}

/** @throws {UsageError} for what it cannot mean: a typing error must not switch a policy off */
export async function loadConfig(env: NodeJS.ProcessEnv): Promise<Config> {
  const path = configPath(env)
  const text = readText(path, env['TSBUILD_CONFIG'] === undefined)
  return text === undefined ? { gc: [], containers: new Map() } : parseConfig(text, path)
}

export async function parseConfig(text: string, path: string): Promise<Config> {
  const { parse, TomlError } = await import('smol-toml')
  let document: Readonly<Record<string, unknown>>
  try {
    document = parse(text)
  } catch (error) {
    if (error instanceof TomlError) throw new UsageError(`cannot read "${path}": ${error.message}`)
    throw error
  }
  const unknown = Object.keys(document).find((key) => key !== 'gc' && key !== 'containers')
  if (unknown !== undefined) throw new UsageError(`"${path}" has a section "${unknown}", which means nothing: there are gc and containers`)
  const { gc = [], containers } = document
  return {
    gc: (Array.isArray(gc) ? gc : [gc]).map((section: unknown) => parseGcSection(section, path)),
    containers: containers === undefined ? new Map() : parseContainers(containers, path),
  }
}

function parseContainers(section: unknown, path: string): ReadonlyMap<string, readonly string[]> {
  if (typeof section !== 'object' || section === null || Array.isArray(section)) throw new UsageError(`"${path}" has a containers that is no section`)
  return new Map(Object.entries(section).map(([key, value]: [string, unknown]) => {
    if (!containerKeys.includes(key)) throw new UsageError(`"${path}" has "${key}" in section containers, which means nothing: there are ${containerKeys.join(', ')}`)
    const values = Array.isArray(value) ? value : [value]
    if (!values.every((item) => typeof item === 'string' || typeof item === 'number')) throw new UsageError(`"${path}" has a "${key}" in section containers that is neither text, number nor list of these`)
    return [key, values.map(String)]
  }))
}

function readText(path: string, mayBeMissing: boolean): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (mayBeMissing && isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

function parseGcSection(section: unknown, path: string): PolicyTexts {
  if (typeof section !== 'object' || section === null || Array.isArray(section)) throw new UsageError(`"${path}" has a gc that is no section`)
  const entries = new Map<string, unknown>(Object.entries(section))
  const known = ['what', 'filter', ...policyKeys]
  for (const key of entries.keys()) if (!known.includes(key)) throw new UsageError(`"${path}" has "${key}" in section gc, which means nothing: there are ${known.join(', ')}`)
  const text = (key: string): string | undefined => {
    const value = entries.get(key)
    if (value === undefined || typeof value === 'string') return value
    if (typeof value === 'number') return String(value)
    throw new UsageError(`"${path}" has a "${key}" in section gc that is neither a text nor a number`)
  }
  const what = text('what') ?? 'all'
  if (what !== 'all' && what !== 'dangling') throw new UsageError(`"${path}" has what = "${what}" in section gc: it takes all or dangling`)
  return {
    what,
    filter: parseTexts(entries.get('filter'), path),
    'keep-last': text('keep-last'), 'max-bytes': text('max-bytes'), 'max-inodes': text('max-inodes'), 'min-free-bytes': text('min-free-bytes'), 'min-free-inodes': text('min-free-inodes'),
  }
}

function parseTexts(value: unknown, path: string): string[] {
  if (value === undefined) return []
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value
  throw new UsageError(`"${path}" has a filter in section gc that is no list of texts`)
}
