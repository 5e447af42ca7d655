import { findNearest } from '../../../core/nearest.ts'
import type { Place } from '../errors.ts'
import { DockerfileError, quote } from '../errors.ts'
import { splitFields } from './csv.ts'

/** What RUN --device asks for: `vendor.com/class=name`, a class alone for its first device, or `=*` for all of them. */
export interface RunDevice {
  readonly kind: string
  readonly name: string | undefined
  /** Otherwise the step runs without it where it is not there. */
  readonly isRequired: boolean
}

const vendor = /^[A-Za-z](?:[\w.-]*[A-Za-z0-9])?$/u
const deviceClass = /^[A-Za-z](?:[\w-]*[A-Za-z0-9])?$/u

/** @throws {DockerfileError} @see CDI SPEC.md "Kind" */
export function parseRunDevice(text: string, place: Place): RunDevice {
  let qualified: string | undefined
  let isRequired = false
  for (const field of splitFields(text, place)) {
    const [key, value] = cut(field)
    if (key === 'required') isRequired = parseSwitch(value, place)
    else if (qualified === undefined) qualified = key === 'name' && value !== undefined ? value : field
    else if (key === 'name') fail(place, 'RUN --device names two devices', 'write one --device for each')
    else throw new DockerfileError(place, { rule: 'flag', problem: `RUN --device has no key ${quote(key)}`, remedy: 'write name=VENDOR/CLASS=NAME and required', suggestion: findNearest(key, ['name', 'required']) })
  }
  const [kind, name] = cut(qualified ?? '')
  const [owner = '', ...classes] = kind.split('/')
  const isKind = classes.length === 1 && vendor.test(owner) && deviceClass.test(classes[0] ?? '')
  if (!isKind || name === '') fail(place, `${quote(qualified ?? '')} names no device`, 'write VENDOR/CLASS=NAME, as in vendor.com/gpu=0')
  return { kind, name, isRequired }
}

export function formatDevice({ kind, name }: Pick<RunDevice, 'kind' | 'name'>): string {
  return name === undefined ? kind : `${kind}=${name}`
}

function cut(text: string): readonly [string, string | undefined] {
  const equals = text.indexOf('=')
  return equals === -1 ? [text, undefined] : [text.slice(0, equals), text.slice(equals + 1)]
}

function parseSwitch(value: string | undefined, place: Place): boolean {
  if (value === undefined || ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) return false
  return fail(place, `RUN --device required=${value} is neither true nor false`, 'write required, or required=false')
}

function fail(place: Place, problem: string, remedy: string): never {
  throw new DockerfileError(place, { rule: 'flag', problem, remedy })
}
