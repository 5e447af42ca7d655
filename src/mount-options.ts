import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Mount } from '../runtime/index.ts'
import { UsageError } from './errors.ts'
import { parseBytes } from './render/format.ts'

/** `--volume`. @throws {UsageError} */
export function parseVolume(text: string): Mount {
  const [given = '', target = '', mode = 'rw', ...rest] = text.split(':')
  const source = /^\.\.?(?:\/|$)/u.test(given) ? resolve(given) : given
  if (/^[\w.-]+$/u.test(given) && (target === '' || target.startsWith('/'))) throw new UsageError(`option --volume "${text}" asks for a named volume, and there are none: give a folder of the host, absolute or beginning with "./"`)
  if (given.startsWith('/') && target === '') throw new UsageError(`option --volume "${text}" asks for a volume without a name, and there are none: say --tmpfs ${given}, or give a folder of the host`)
  if (!source.startsWith('/') || !target.startsWith('/') || rest.length > 0) throw new UsageError(`option --volume takes HOST:DIR[:ro], HOST absolute or beginning with "./" and DIR absolute, not "${text}"`)
  const words = mode.split(',')
  for (const word of words) checkVolumeWord(word, text)
  return { kind: 'bind', source, target, readonly: words.includes('ro') }
}

/** Of Docker's words those that say what is so anyway are taken. */
const impliedWords: readonly string[] = ['ro', 'rw', 'rprivate', 'private', 'nocopy', 'cached', 'delegated', 'consistent']

function checkVolumeWord(word: string, text: string): void {
  if (impliedWords.includes(word)) return
  if (word !== 'z' && word !== 'Z') throw new UsageError(`option --volume takes ro or rw, not "${word}" of "${text}"`)
  if (existsSync('/sys/fs/selinux/enforce')) throw new UsageError(`option --volume cannot give "${text}" another SELinux label: do it by chcon, or say --security-opt label=disable`)
}

/** `--tmpfs`. Docker's are neither executable nor for devices or set-user-id programs, unless said otherwise. */
export function parseTmpfs(text: string): Mount {
  const colon = text.indexOf(':')
  const words = colon === -1 ? [] : text.slice(colon + 1).split(',')
  let mount: Mount & { readonly kind: 'tmpfs' } = { kind: 'tmpfs', target: colon === -1 ? text : text.slice(0, colon), isExecutable: false }
  for (const word of words) mount = { ...mount, ...parseTmpfsWord(word, text) }
  return mount
}

function parseTmpfsWord(word: string, text: string): Partial<Mount & { readonly kind: 'tmpfs' }> {
  const [key = '', value = ''] = word.split('=')
  if (key === 'size') {
    const sizeBytes = parseBytes(value)
    if (sizeBytes !== undefined) return { sizeBytes }
  }
  if (key === 'mode' && /^[0-7]{1,4}$/u.test(value)) return { mode: Number.parseInt(value, 8) }
  if (word === 'ro' || word === 'rw') return { readonly: word === 'ro' }
  if (word === 'exec' || word === 'noexec') return { isExecutable: word === 'exec' }
  if (word === 'nosuid' || word === 'nodev') return {}
  throw new UsageError(`option --tmpfs knows size=, mode=, ro, rw, exec, noexec, nosuid and nodev, not "${word}" of "${text}"`)
}

/** `--mount`, by its keys as Docker documents them. @throws {UsageError} */
export function parseMount(text: string): Mount {
  const entries = new Map(text.split(',').map((word) => [mountKeys[keyOf(word)] ?? keyOf(word), word.includes('=') ? word.slice(word.indexOf('=') + 1) : 'true']))
  const type = entries.get('type') ?? 'volume'
  const known = type === 'bind' ? bindKeys : type === 'tmpfs' ? tmpfsKeys : undefined
  if (known === undefined) throw new UsageError(`option --mount takes type=bind and type=tmpfs, not type=${type}: there are no volumes and no images to mount`)
  for (const key of entries.keys()) if (!known.includes(key)) throw new UsageError(`option --mount of type=${type} knows ${known.join(', ')}, not "${key}" of "${text}"`)
  const target = entries.get('target') ?? ''
  if (!target.startsWith('/')) throw new UsageError(`option --mount needs target=DIR, absolute, in "${text}"`)
  const readonly = ['true', '1', ''].includes(entries.get('readonly') ?? 'false')
  return type === 'bind' ? bindMount(entries, { text, target, readonly }) : tmpfsMount(entries, target, readonly)
}

function bindMount(entries: ReadonlyMap<string, string>, { text, target, readonly }: { readonly text: string; readonly target: string; readonly readonly: boolean }): Mount {
  const source = entries.get('source') ?? ''
  if (!source.startsWith('/') && !/^\.\.?(?:\/|$)/u.test(source)) throw new UsageError(`option --mount of type=bind needs source=HOST, absolute or beginning with "./", in "${text}"`)
  const propagation = entries.get('bind-propagation') ?? 'rprivate'
  if (!impliedWords.includes(propagation)) throw new UsageError(`option --mount takes bind-propagation=rprivate, not "${propagation}"`)
  return { kind: 'bind', source: resolve(source), target, readonly }
}

function tmpfsMount(entries: ReadonlyMap<string, string>, target: string, readonly: boolean): Mount {
  const words = [...entries].flatMap(([key, value]) => /^tmpfs-/u.test(key) ? [`${key.slice('tmpfs-'.length)}=${value}`] : [])
  return parseTmpfs(`${target}:${[readonly ? 'ro' : 'rw', ...words].join(',')}`)
}

const mountKeys: Readonly<Record<string, string>> = { src: 'source', dst: 'target', destination: 'target', ro: 'readonly' }
const bindKeys: readonly string[] = ['type', 'source', 'target', 'readonly', 'bind-propagation', 'consistency']
const tmpfsKeys: readonly string[] = ['type', 'target', 'readonly', 'tmpfs-size', 'tmpfs-mode']

function keyOf(word: string): string {
  return word.split('=')[0] ?? ''
}
