import type { Place } from '../errors.ts'
import { DockerfileError, quote } from '../errors.ts'

/** What `check=` says: in the directive, in a comment above an instruction, or in BUILDKIT_DOCKERFILE_CHECK. */
export interface CheckOptions {
  readonly skip: ReadonlySet<string> | 'all'
  readonly experimental: ReadonlySet<string> | 'all'
  /** Warnings fail the build. */
  readonly isError: boolean
}

export const noOptions: CheckOptions = { skip: new Set(), experimental: new Set(), isError: false }

/**
 * Reads `skip=A,B;error=true;experimental=C`. Text after a blank is not part of it, as in BuildKit.
 * @throws {DockerfileError}
 */
export function parseCheckOptions(text: string, place: Place): CheckOptions {
  const [options = ''] = text.split(' ', 1)
  if (options === '') return noOptions
  return options.split(';').reduce((read, part) => addOption(read, part, place), noOptions)
}

function addOption(options: CheckOptions, part: string, place: Place): CheckOptions {
  const equals = part.indexOf('=')
  const key = (equals === -1 ? part : part.slice(0, equals)).trim()
  const value = part.slice(equals + 1).trim()
  if (equals !== -1 && key === 'skip') return { ...options, skip: readNames(value) }
  if (equals !== -1 && key === 'experimental') return { ...options, experimental: readNames(value) }
  if (equals !== -1 && key === 'error' && /^(?:1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/u.test(value)) return { ...options, isError: /^[1tT]/u.test(value) }
  throw new DockerfileError(place, {
    rule: 'check-options',
    problem: `${quote(part)} is no option for checks`,
    remedy: 'write skip=Rule,Rule or skip=all, error=true, experimental=Rule or experimental=all, with ; between them',
  })
}

function readNames(value: string): ReadonlySet<string> | 'all' {
  return value === 'all' ? 'all' : new Set(value.split(',').map((name) => name.trim()).filter((name) => name !== ''))
}
