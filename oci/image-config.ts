import type { DiffId } from './digest.ts'
import { isDigest, parseDiffId } from './digest.ts'
import { MalformedDocument } from './errors.ts'
import type { Json, JsonObject } from './json.ts'
import { isObject, parseDocument } from './json.ts'
import type { Platform } from './platform.ts'
import { normalizePlatform } from './platform.ts'

/** Durations in nanoseconds, as Docker stores them. */
export interface Healthcheck {
  readonly Test: readonly string[]
  readonly Interval?: number
  readonly Timeout?: number
  readonly StartPeriod?: number
  readonly StartInterval?: number
  readonly Retries?: number
}

/**
 * How a container of the image is run: the specification's fields and Docker's extensions to them.
 * @see image-spec config.md "config"
 */
export interface RunConfig {
  readonly User?: string
  readonly ExposedPorts?: Readonly<Record<string, object>>
  readonly Env?: readonly string[]
  readonly Entrypoint?: readonly string[]
  readonly Cmd?: readonly string[]
  readonly Volumes?: Readonly<Record<string, object>>
  readonly WorkingDir?: string
  readonly Labels?: Readonly<Record<string, string>>
  readonly StopSignal?: string
  readonly ArgsEscaped?: boolean
  readonly Healthcheck?: Healthcheck
  readonly OnBuild?: readonly string[]
  readonly Shell?: readonly string[]
}

/** @see image-spec config.md "history" */
export interface HistoryEntry {
  readonly created?: string
  readonly created_by?: string
  readonly author?: string
  readonly comment?: string
  readonly empty_layer?: boolean
}

/** @see image-spec config.md */
export interface ImageConfig extends Platform {
  readonly created?: string
  readonly author?: string
  readonly config?: RunConfig
  readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly DiffId[] }
  readonly history?: readonly HistoryEntry[]
  /** BuildKit's inline cache; written, and read from the document itself. */
  readonly 'moby.buildkit.cache.v0'?: string
}

/**
 * Reads an image config. Fields that say how to run a container are checked one by one; unknown fields are dropped,
 * so nothing in an image can reach further than these fields do.
 * @throws {MalformedDocument}
 */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const document = parseDocument(bytes, 'image config')
  const history = parseHistory(document['history'])
  const diffIds = parseRootfs(document['rootfs'])
  return {
    ...parsePlatformFields(document),
    ...optionalText(document, 'created'),
    ...optionalText(document, 'author'),
    ...(isObject(document['config']) ? { config: parseRunConfig(document['config']) } : {}),
    rootfs: { type: 'layers', diff_ids: diffIds },
    ...(history === undefined ? {} : { history }),
  }
}

export function encodeImageConfig(config: ImageConfig): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(config))
}

function parsePlatformFields(document: JsonObject): Platform {
  const { os, architecture } = document
  if (typeof os !== 'string' || typeof architecture !== 'string') fail('it names no os and architecture')
  return normalizePlatform({
    os,
    architecture,
    ...optionalText(document, 'variant'),
    ...optionalText(document, 'os.version'),
  })
}

function parseRootfs(rootfs: Json | undefined): DiffId[] {
  if (!isObject(rootfs) || !Array.isArray(rootfs['diff_ids'] ?? [])) fail('its rootfs has no list of diff_ids')
  const diffIds: readonly Json[] = (rootfs['diff_ids'] ?? []) as readonly Json[]
  return diffIds.map((text) => {
    if (typeof text !== 'string' || !isDigest(text)) fail('one of its diff_ids is not a digest')
    return parseDiffId(text)
  })
}

/** History is informative; entries that are not objects are an error, a wrong number of them is not. */
function parseHistory(history: Json | undefined): HistoryEntry[] | undefined {
  if (history === undefined || history === null) return undefined
  if (!Array.isArray(history)) fail('its history is not a list')
  return history.map((entry: Json) => {
    if (!isObject(entry)) fail('its history has an entry that is not an object')
    return {
      ...optionalText(entry, 'created'),
      ...optionalText(entry, 'created_by'),
      ...optionalText(entry, 'author'),
      ...optionalText(entry, 'comment'),
      ...(entry['empty_layer'] === true ? { empty_layer: true } : {}),
    }
  })
}

function parseRunConfig(config: JsonObject): RunConfig {
  return {
    ...optionalText(config, 'User'),
    ...optionalKeys(config, 'ExposedPorts'),
    ...optionalTexts(config, 'Env'),
    ...optionalTexts(config, 'Entrypoint'),
    ...optionalTexts(config, 'Cmd'),
    ...optionalKeys(config, 'Volumes'),
    ...optionalText(config, 'WorkingDir'),
    ...optionalLabels(config),
    ...optionalText(config, 'StopSignal'),
    ...(config['ArgsEscaped'] === true ? { ArgsEscaped: true } : {}),
    ...optionalHealthcheck(config['Healthcheck']),
    ...optionalTexts(config, 'OnBuild'),
    ...optionalTexts(config, 'Shell'),
  }
}

function optionalText<Key extends string>(object: JsonObject, key: Key): { readonly [K in Key]?: string } {
  const value = object[key]
  if (value === undefined || value === null || value === '') return {}
  if (typeof value !== 'string') fail(`its ${key} is not a text`)
  return { [key]: value } as { readonly [K in Key]?: string }
}

function optionalTexts<Key extends string>(object: JsonObject, key: Key): { readonly [K in Key]?: readonly string[] } {
  const value = object[key]
  if (value === undefined || value === null) return {}
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) fail(`its ${key} is not a list of texts`)
  const texts: readonly string[] = value
  return { [key]: texts } as { readonly [K in Key]?: readonly string[] }
}

/** A set, written in JSON as an object with empty objects as values. */
function optionalKeys<Key extends string>(object: JsonObject, key: Key): { readonly [K in Key]?: Readonly<Record<string, object>> } {
  const value = object[key]
  if (value === undefined || value === null) return {}
  if (!isObject(value)) fail(`its ${key} is not an object`)
  return { [key]: Object.fromEntries(Object.keys(value).map((name) => [name, {}])) } as { readonly [K in Key]?: Readonly<Record<string, object>> }
}

function optionalLabels(config: JsonObject): { readonly Labels?: Readonly<Record<string, string>> } {
  const labels = config['Labels']
  if (labels === undefined || labels === null) return {}
  if (!isObject(labels)) fail('its Labels is not an object')
  const checked = Object.entries(labels).map(([name, value]): [string, string] => {
    if (typeof value !== 'string') fail('one of its Labels is not a text')
    return [name, value]
  })
  return { Labels: Object.fromEntries(checked) }
}

function optionalHealthcheck(value: Json | undefined): { readonly Healthcheck?: Healthcheck } {
  if (!isObject(value)) return {}
  const duration = (key: string): Record<string, number> => {
    const number = value[key]
    return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? { [key]: number } : {}
  }
  return {
    Healthcheck: {
      Test: optionalTexts(value, 'Test').Test ?? [],
      ...duration('Interval'), ...duration('Timeout'), ...duration('StartPeriod'), ...duration('StartInterval'), ...duration('Retries'),
    },
  }
}

function fail(problem: string): never {
  throw new MalformedDocument('image config', problem)
}
