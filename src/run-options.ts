import type { RunRequest } from '../builder/index.ts'
import type { Mount, Privilege } from '../runtime/index.ts'
import type { OptionSpec, OptionValues } from './command.ts'
import { UsageError } from './errors.ts'
import { parseBytes } from './render/format.ts'

/** What only `run` has. */
export const runOptions: readonly OptionSpec[] = [
  { name: 'privileged', help: 'All capabilities, all devices, nothing hidden or filtered' },
  { name: 'read-only', help: 'Make the root filesystem read-only' },
  { name: 'hostname', short: 'h', value: 'NAME', help: 'Host name of the container' },
  { name: 'domainname', value: 'NAME', help: 'Domain name of the container' },
  { name: 'group-add', value: 'GROUP', isRepeatable: true, help: 'Supplementary group, by name or id' },
  { name: 'umask', value: 'OCTAL', help: 'Mode bits that new files lack (default 0022)' },
  { name: 'oom-score-adj', value: 'N', help: 'How likely a victim of the OOM killer, -1000 to 1000' },
  { name: 'sysctl', value: 'NAME=VALUE', isRepeatable: true, help: 'Kernel setting of a namespace of the container\'s own' },
  { name: 'tmpfs', value: 'DIR[:OPTIONS]', isRepeatable: true, help: 'Folder in memory; options size=, mode=, ro, exec' },
  { name: 'volume', short: 'v', value: 'HOST:DIR[:ro]', isRepeatable: true, help: 'Folder or file of the host' },
  { name: 'init', help: 'Have an init reap orphans, which is always so' },
]

/** @throws {UsageError} */
export function parseRunOptions(options: OptionValues): Pick<RunRequest, 'hostname' | 'domainname' | 'groups' | 'umask' | 'oomScoreAdj' | 'sysctls' | 'mounts'> {
  return {
    hostname: options.text('hostname'),
    domainname: options.text('domainname'),
    groups: options.texts('group-add'),
    umask: parseNumber(options, { name: 'umask', pattern: /^0?[0-7]{1,3}$/u, radix: 8 }),
    oomScoreAdj: parseNumber(options, { name: 'oom-score-adj', pattern: /^-?\d{1,4}$/u, radix: 10 }),
    sysctls: Object.fromEntries(options.texts('sysctl').map(parseSysctl)),
    mounts: [...options.texts('volume').map(parseVolume), ...options.texts('tmpfs').map(parseTmpfs)],
  }
}

export function withRunPrivilege<T extends { readonly privilege: Privilege }>(confinement: T, options: OptionValues): T {
  const { privilege } = confinement
  return { ...confinement, privilege: { ...privilege, ...(options.has('read-only') ? { readonlyRootfs: true } : {}), ...(options.has('privileged') ? { isPrivileged: true } : {}) } }
}

function parseNumber(options: OptionValues, { name, pattern, radix }: { readonly name: string; readonly pattern: RegExp; readonly radix: number }): number | undefined {
  const text = options.text(name)
  if (text === undefined) return undefined
  if (!pattern.test(text)) throw new UsageError(`option --${name} takes ${radix === 8 ? 'an octal mask such as 0077' : 'a whole number'}, not "${text}"`)
  return Number.parseInt(text, radix)
}

function parseSysctl(text: string): [string, string] {
  const equals = text.indexOf('=')
  if (equals < 1) throw new UsageError(`option --sysctl takes NAME=VALUE, not "${text}"`)
  return [text.slice(0, equals), text.slice(equals + 1)]
}

function parseVolume(text: string): Mount {
  const [source = '', target = '', mode = 'rw', ...rest] = text.split(':')
  if (!source.startsWith('/') || !target.startsWith('/') || rest.length > 0) throw new UsageError(`option --volume takes HOST:DIR[:ro] with absolute paths, not "${text}"`)
  if (mode !== 'ro' && mode !== 'rw') throw new UsageError(`option --volume takes ro or rw, not "${mode}"`)
  return { kind: 'bind', source, target, readonly: mode === 'ro' }
}

/** Docker's are neither executable nor for devices or set-user-id programs, unless said otherwise. */
function parseTmpfs(text: string): Mount {
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
