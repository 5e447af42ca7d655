import type { Place } from '../errors.ts'
import { DockerfileError, quote } from '../errors.ts'
import type { ExpandContext, References, Variables } from '../expand/expand.ts'
import { expandWord, ReferenceCollector } from '../expand/expand.ts'
import type { Word } from '../instruction.ts'
import { findNearest } from '../../../core/nearest.ts'
import { splitFields } from './csv.ts'
import { parseSize } from './size.ts'

/** `target` is as written, so it may be relative, or empty for the working directory itself. */
interface MountBase {
  readonly target: string
}

export interface BindMount extends MountBase {
  readonly type: 'bind'
  /** Below the root of `from`, whatever it begins with; empty is that root. */
  readonly source: string
  /** A stage, image or named context; undefined is the build context. */
  readonly from: string | undefined
  readonly isReadOnly: boolean
}

export interface CacheMount extends MountBase {
  readonly type: 'cache'
  /** undefined: the cleaned target names the cache. */
  readonly id: string | undefined
  /** What the cache begins with: a directory of `from`, or of the cache itself when there is no `from`. */
  readonly source: string
  readonly from: string | undefined
  readonly sharing: 'shared' | 'private' | 'locked'
  readonly isReadOnly: boolean
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Whether uid or gid is written there. */
  readonly isOwned: boolean
}

export interface TmpfsMount extends MountBase {
  readonly type: 'tmpfs'
  readonly sizeBytes: number | undefined
  readonly isReadOnly: boolean
}

/** A file, an environment variable, or both. */
export interface SecretMount {
  readonly type: 'secret'
  readonly id: string
  /** undefined when it is an environment variable only. */
  readonly target: string | undefined
  readonly env: string | undefined
  readonly isRequired: boolean
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

export interface SshMount {
  readonly type: 'ssh'
  readonly id: string
  /** undefined: `/run/buildkit/ssh_agent.N`, counted over the step. */
  readonly target: string | undefined
  readonly isRequired: boolean
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

export type RunMount = BindMount | CacheMount | TmpfsMount | SecretMount | SshMount
type MountType = RunMount['type']

const aliases: ReadonlyMap<string, string> = new Map([['src', 'source'], ['dst', 'target'], ['destination', 'target'], ['ro', 'readonly'], ['rw', 'readwrite']])
const keysOf: { readonly [K in MountType]: readonly string[] } = {
  bind: ['source', 'target', 'from', 'readonly', 'readwrite'],
  cache: ['id', 'target', 'source', 'from', 'sharing', 'readonly', 'readwrite', 'mode', 'uid', 'gid'],
  tmpfs: ['target', 'size', 'readonly', 'readwrite'],
  secret: ['id', 'source', 'target', 'env', 'required', 'readonly', 'mode', 'uid', 'gid'],
  ssh: ['id', 'target', 'required', 'readonly', 'mode', 'uid', 'gid'],
}
const everyKey = ['type', ...new Set(Object.values(keysOf).flat()), ...aliases.keys()]
const flagKeys: readonly string[] = ['readonly', 'readwrite', 'required']

/**
 * Reads one `RUN --mount` flag: its fields are split first and then expanded, so a comma out of a variable splits
 * nothing. A key that has no meaning for the type is refused; a key given twice counts as given last, as in Docker.
 * @throws {DockerfileError}
 * @see Dockerfile reference "RUN --mount"
 */
export function parseRunMount(word: Word, variables: Variables, context: ExpandContext): References & { readonly mount: RunMount } {
  const place = { source: context.source, range: word.range }
  const references = new ReferenceCollector()
  const values = new Map<string, string>()
  for (const field of splitFields(word.text, place)) {
    const { key, value } = splitKey(field, place)
    if (key === 'from') {
      values.set(key, checkFrom(value, place))
      continue
    }
    const expansion = expandWord({ text: value, range: word.range }, variables, context)
    references.add(expansion)
    if (key === 'readwrite') values.delete('readonly')
    if (key === 'readonly') values.delete('readwrite')
    values.set(key, expansion.text)
  }
  return { mount: new MountFields(values, place).read(), used: references.used, unset: references.unset }
}

/**
 * What a mount is from, which is known before any variable is; undefined when it does not say.
 * @throws {DockerfileError} for a flag whose fields cannot be told apart, or a variable in `from`
 */
export function readMountFrom(text: string, place: Place): string | undefined {
  const from = splitFields(text, place).map((field) => splitKey(field, place)).findLast(({ key }) => key === 'from')?.value ?? ''
  return from === '' ? undefined : checkFrom(from, place)
}

function checkFrom(value: string, place: Place): string {
  if (!/\$./u.test(value)) return value
  return fail(place, { problem: 'from takes no variables', remedy: 'name the image in a stage of its own, FROM $image AS name, and mount from that' })
}

/**
 * Where a mount lands: absolute, cleaned, never the root itself.
 * @throws {DockerfileError} for the root directory
 */
export function resolveMountTarget(target: string, workdir: string, place: Place): string {
  const parts: string[] = []
  for (const part of (target.startsWith('/') ? target : `${workdir}/${target}`).split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  if (parts.length > 0) return `/${parts.join('/')}`
  return fail(place, { problem: 'a mount cannot cover the root directory', remedy: target === '' ? 'add target=/path' : undefined })
}

function splitKey(field: string, place: Place): { readonly key: string; readonly value: string } {
  const equals = field.indexOf('=')
  const written = (equals === -1 ? field : field.slice(0, equals)).toLowerCase()
  const key = aliases.get(written) ?? written
  if (!everyKey.includes(key)) {
    fail(place, {
      problem: field === '' ? 'a field is empty' : `there is no key ${quote(written)}`,
      remedy: field === '' ? 'a comma stands before a blank, doubled, or at an end' : undefined,
      suggestion: findNearest(written, everyKey),
    })
  }
  if (equals !== -1) return { key, value: field.slice(equals + 1) }
  if (flagKeys.includes(key)) return { key, value: 'true' }
  return fail(place, { problem: `${written} has no value`, remedy: `write ${written}=…` })
}

/** The values of one mount, checked against its type. */
class MountFields {
  readonly #values: ReadonlyMap<string, string>
  readonly #place: Place

  constructor(values: ReadonlyMap<string, string>, place: Place) {
    this.#values = values
    this.#place = place
  }

  read(): RunMount {
    const type = this.#choice('type', ['bind', 'cache', 'tmpfs', 'secret', 'ssh']) ?? 'bind'
    for (const key of this.#values.keys()) {
      if (key !== 'type' && !keysOf[type].includes(key)) fail(this.#place, { problem: `a ${type} mount has no ${key}`, remedy: `it has ${keysOf[type].join(', ')}` })
    }
    switch (type) {
      case 'bind': return { type, target: this.#text('target') ?? '', source: this.#text('source') ?? '', from: this.#text('from'), isReadOnly: this.#isReadOnly(true) }
      case 'cache': return this.#cache()
      case 'tmpfs': return this.#tmpfs()
      case 'secret': return this.#secret()
      case 'ssh': return this.#ssh()
    }
  }

  #cache(): CacheMount {
    return {
      type: 'cache', target: this.#text('target') ?? '', id: this.#text('id'), source: this.#text('source') ?? '', from: this.#text('from'),
      sharing: this.#choice('sharing', ['shared', 'private', 'locked']) ?? 'shared', isReadOnly: this.#isReadOnly(false), ...this.#owner(0o755),
      isOwned: this.#values.has('uid') || this.#values.has('gid'),
    }
  }

  #tmpfs(): TmpfsMount {
    const size = this.#text('size')
    return { type: 'tmpfs', target: this.#text('target') ?? '', sizeBytes: size === undefined ? undefined : parseSize(size, this.#place), isReadOnly: this.#isReadOnly(false) }
  }

  #secret(): SecretMount {
    this.#refuseWritable('secret')
    const source = this.#text('source')
    if (source !== undefined && this.#text('id') !== undefined) fail(this.#place, { problem: 'a secret mount has both id and source', remedy: 'keep id' })
    const target = this.#text('target')
    const env = this.#text('env')
    const id = this.#text('id') ?? source ?? baseName(target ?? '')
    if (id === '') fail(this.#place, { problem: 'a secret mount names no secret', remedy: 'add id=…' })
    return {
      type: 'secret', id, env, isRequired: this.#flag('required') ?? false, ...this.#owner(0o400),
      target: target ?? (env === undefined ? `/run/secrets/${baseName(id)}` : undefined),
    }
  }

  #ssh(): SshMount {
    this.#refuseWritable('ssh')
    return { type: 'ssh', id: this.#text('id') ?? 'default', target: this.#text('target'), isRequired: this.#flag('required') ?? false, ...this.#owner(0o600) }
  }

  #refuseWritable(type: MountType): void {
    if (!this.#isReadOnly(true)) fail(this.#place, { problem: `a ${type} mount cannot be writable`, remedy: 'remove readonly=false' })
  }

  #isReadOnly(fallback: boolean): boolean {
    const writable = this.#flag('readwrite')
    return this.#flag('readonly') ?? (writable === undefined ? fallback : !writable)
  }

  #owner(mode: number): { readonly mode: number; readonly uid: number; readonly gid: number } {
    return { mode: this.#number('mode', 8, 0o7777) ?? mode, uid: this.#number('uid', 10, maxId) ?? 0, gid: this.#number('gid', 10, maxId) ?? 0 }
  }

  #number(key: string, base: 8 | 10, max: number): number | undefined {
    const text = this.#text(key)
    if (text === undefined) return undefined
    const number = (base === 8 ? /^[0-7]{1,12}$/u : /^\d{1,12}$/u).test(text) ? Number.parseInt(text, base) : -1
    if (number >= 0 && number <= max) return number
    return fail(this.#place, { problem: `${key} is ${quote(text)}, want ${base === 8 ? 'an octal number up to 7777' : 'a number'}` })
  }

  #flag(key: string): boolean | undefined {
    const text = this.#values.get(key)
    if (text === undefined) return undefined
    if (/^(?:1|t|T|TRUE|true|True)$/u.test(text)) return true
    if (/^(?:0|f|F|FALSE|false|False)$/u.test(text)) return false
    return fail(this.#place, { problem: `${key} is ${quote(text)}, want true or false` })
  }

  #choice<T extends string>(key: string, allowed: readonly T[]): T | undefined {
    const text = this.#text(key)
    if (text === undefined) return undefined
    const found = allowed.find((value) => value === text.toLowerCase())
    if (found !== undefined) return found
    return fail(this.#place, { problem: `${key} is ${quote(text)}, want ${allowed.join(', ')}`, suggestion: findNearest(text, allowed) })
  }

  /** Empty counts as not given. */
  #text(key: string): string | undefined {
    const text = this.#values.get(key)
    return text === '' ? undefined : text
  }
}

/** The last id that is one: the next means "leave it" to chown. */
const maxId = 0xffff_fffe

function baseName(path: string): string {
  return path.replace(/\/+$/u, '').split('/').at(-1) ?? ''
}

function fail(place: Place, problem: { readonly problem: string; readonly remedy?: string | undefined; readonly suggestion?: string | undefined }): never {
  throw new DockerfileError(place, { rule: 'mount', ...problem })
}
