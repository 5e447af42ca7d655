import type { Place } from '../errors.ts'
import { DockerfileError, quote } from '../errors.ts'

/** What `--chmod` does: set a mode, or change each file's own. */
export type Chmod =
  | { readonly kind: 'octal'; readonly mode: number }
  | { readonly kind: 'symbolic'; readonly actions: readonly ChmodAction[] }

/** `who` is a mask of the bits that may change; undefined where none was named. */
export interface ChmodAction {
  readonly who: number | undefined
  readonly operator: '+' | '-' | '='
  readonly bits: number
  /** `X`: execution, for directories and for files that somebody could execute. */
  readonly conditionalExecute: boolean
  /** `g=u`: the class whose permissions are copied. */
  readonly copy: 'u' | 'g' | 'o' | undefined
}

const setuid = 0o4000
const setgid = 0o2000
const sticky = 0o1000
const everyone = 0o777
const classBits: Readonly<Record<string, number>> = { u: setuid | 0o700, g: setgid | 0o070, o: 0o007, a: setuid | setgid | everyone }
const permissionBits: Readonly<Record<string, number>> = { r: 0o444, w: 0o222, x: 0o111, s: setuid | setgid, t: sticky }
const classShift: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 }

/**
 * Reads `0755` or `u+rwX,go=` as chmod(1) of BSD does, which BuildKit follows, under no umask.
 * @throws {DockerfileError}
 */
export function parseChmod(text: string, place: Place): Chmod {
  if (/^\d/u.test(text)) {
    const mode = /^[0-7]{1,12}$/u.test(text) ? Number.parseInt(text, 8) : -1
    if (mode >= 0 && mode <= 0o7777) return { kind: 'octal', mode }
    throw new DockerfileError(place, { rule: 'mode', problem: `--chmod is ${quote(text)}, want an octal number up to 7777` })
  }
  const clauses = text.length > 1000 ? [''] : text.split(',')
  return { kind: 'symbolic', actions: clauses.flatMap((clause) => parseClause(clause, text, place)) }
}

function parseClause(clause: string, text: string, place: Place): ChmodAction[] {
  const match = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/u.exec(clause)
  if (match === null) {
    throw new DockerfileError(place, { rule: 'mode', problem: `--chmod is ${quote(text)}, which is no mode`, remedy: 'write it as 0755, or as u=rwX,go=rX' })
  }
  const [, classes = '', actions = ''] = match
  const who = classes === '' ? undefined : Array.from(classes).reduce((mask, name) => mask | (classBits[name] ?? 0), 0)
  return [...actions.matchAll(/([-+=])([rwxXst]*)([ugo]?)/gu)].map(([, operator = '', permissions = '', copy = '']) => {
    const bits = permissionsOf(permissions, who)
    return {
      who: who === undefined ? undefined : who | (bits & sticky),
      operator: operator === '+' || operator === '-' ? operator : '=',
      bits,
      conditionalExecute: permissions.includes('X'),
      copy: copy === 'u' || copy === 'g' || copy === 'o' ? copy : undefined,
    }
  })
}

/** `s` and `t` mean nothing for others alone. */
function permissionsOf(permissions: string, who: number | undefined): number {
  const onlyOthers = who !== undefined && (who & ~0o007) === 0
  let bits = 0
  for (const permission of permissions) {
    if (!(onlyOthers && 'st'.includes(permission))) bits |= permissionBits[permission] ?? 0
  }
  return bits
}

/** The mode a file of mode `mode` gets. Links are not for chmod: callers leave them alone. */
export function applyChmod(chmod: Chmod, file: { readonly mode: number; readonly isDirectory: boolean }): number {
  if (chmod.kind === 'octal') return chmod.mode
  const original = file.mode & 0o7777
  const canExecute = file.isDirectory || (original & 0o111) !== 0
  return chmod.actions.reduce((mode, action) => applyAction(mode, action, canExecute), original)
}

function applyAction(mode: number, { who, operator, bits, conditionalExecute, copy }: ChmodAction, canExecute: boolean): number {
  const limit = who ?? (setuid | setgid | sticky | everyone)
  let change = bits | (conditionalExecute && canExecute ? 0o111 : 0)
  if (copy !== undefined) {
    const permissions = (mode >> (classShift[copy] ?? 0)) & 0o7
    change |= permissions << 6 | permissions << 3 | permissions
  }
  change &= limit
  if (operator === '+') return mode | change
  if (operator === '-') return mode & ~change
  const cleared = copy === undefined ? who ?? (setuid | setgid | everyone) : limit & everyone
  return mode & ~cleared | change
}
