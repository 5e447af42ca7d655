import type { RunDevice } from '../dockerfile/values/run-device.ts'
import { formatDevice } from '../dockerfile/values/run-device.ts'
import type { Entitlement } from '../errors.ts'
import { DeviceUnsuitable } from './errors.ts'
import { NotEntitled } from '../errors.ts'
import type { CdiDevice } from './cdi-spec.ts'
import { readCdiDevices } from './cdi-spec.ts'

/** As BuildKit reads them. */
const classAnnotation = 'org.mobyproject.buildkit.device.class'
const allowAnnotation = 'org.mobyproject.buildkit.device.autoallow'

export interface DeviceRules {
  readonly folders: readonly string[]
  readonly allowed: ReadonlySet<Entitlement>
  /** Told of a device that is not there and need not be. */
  readonly warn: (message: string) => void
}

/** The devices a step asks for, each once. @throws {DeviceUnsuitable} @throws {NotEntitled} */
export async function findDevices(asked: readonly RunDevice[], { folders, allowed, warn }: DeviceRules): Promise<CdiDevice[]> {
  if (asked.length === 0) return []
  const all = await readCdiDevices(folders)
  const chosen = new Set<CdiDevice>()
  for (const wanted of asked) {
    const found = match(wanted, all)
    if (found.length === 0) {
      const reason = all.length === 0 ? `there is no CDI specification in ${folders.join(' or ')}` : `of its kind there is ${all.map(({ qualified }) => qualified).filter((name) => name.startsWith(`${wanted.kind}=`)).join(', ') || 'none'}`
      if (wanted.isRequired) throw new DeviceUnsuitable(formatDevice(wanted), `${reason}; install what makes it, such as nvidia-ctk cdi generate, or name its folder with --cdi-spec-dir`)
      warn(`the step runs without device ${formatDevice(wanted)}: ${reason}`)
    }
    for (const device of found) if (isAllowed(wanted, device, allowed)) chosen.add(device)
  }
  return [...chosen]
}

function match({ kind, name }: RunDevice, all: readonly CdiDevice[]): CdiDevice[] {
  const ofKind = all.filter(({ qualified }) => qualified.startsWith(`${kind}=`))
  if (name === '*') return ofKind
  if (name === undefined) return ofKind.slice(0, 1)
  const exact = ofKind.filter(({ qualified }) => qualified === `${kind}=${name}`)
  return exact.length > 0 ? exact : ofKind.filter(({ annotations }) => annotations[classAnnotation] === name)
}

function isAllowed(wanted: RunDevice, { qualified, annotations }: CdiDevice, allowed: ReadonlySet<Entitlement>): boolean {
  const names = ['device', `device=${qualified}`, `device=${wanted.kind}`, `device=${formatDevice(wanted)}`] as const
  if (names.some((name) => allowed.has(name)) || annotations[allowAnnotation] === 'true') return true
  throw new NotEntitled(`device=${formatDevice(wanted)}`)
}
