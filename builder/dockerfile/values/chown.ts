import type { Place } from '../errors.ts'
import { DockerfileError, quote } from '../errors.ts'

/** `--chown` as written: names and numbers are told apart, and names looked up, where the root filesystem is known. */
export interface Chown {
  /** undefined for `:group`: the owner becomes root. */
  readonly user: string | undefined
  /** undefined for `user` and `user:`. */
  readonly group: string | undefined
  /** `user` alone gives the group the user's number, `user:` gives it 0. */
  readonly hasColon: boolean
}

/**
 * @throws {DockerfileError} for what can be neither a name nor a number that chown takes
 * @see Dockerfile reference "COPY --chown"
 */
export function parseChown(text: string, place: Place): Chown {
  const [user = '', group = '', ...rest] = text.split(':')
  if (rest.length > 0) refuse(place, text, 'has more than one colon')
  if (user === '' && group === '') refuse(place, text, 'names nobody')
  for (const name of [user, group]) {
    if (name.startsWith('-') || /[\s/\0]/u.test(name)) refuse(place, text, 'cannot be a name')
    if (/^\d+$/u.test(name) && Number(name) > 0xffff_fffe) refuse(place, text, 'is beyond the largest id, 4294967294')
  }
  return { user: user === '' ? undefined : user, group: group === '' ? undefined : group, hasColon: text.includes(':') }
}

function refuse(place: Place, text: string, problem: string): never {
  throw new DockerfileError(place, { rule: 'owner', problem: `--chown is ${quote(text)}, which ${problem}`, remedy: 'write user, user:group, 1000 or 1000:1000' })
}
