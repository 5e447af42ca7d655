import type { ContainerSpec } from '../container-spec.ts'
import { findDevices } from '../devices.ts'
import type { DeviceRule } from './driver.ts'

const blockDevice = 0o060000
const kindMask = 0o170000

/** Making nodes is harmless: what counts is opening them. The rest is what a container's /dev has, and its terminals. */
const defaults: readonly DeviceRule[] = [
  { kind: 'c', major: undefined, minor: undefined, permissions: 'm' },
  { kind: 'b', major: undefined, minor: undefined, permissions: 'm' },
  ...([[1, 3], [1, 5], [1, 7], [1, 8], [1, 9], [5, 0], [5, 1], [5, 2]] as const).map(([major, minor]): DeviceRule => ({ kind: 'c', major, minor, permissions: 'rwm' })),
  { kind: 'c', major: 136, minor: undefined, permissions: 'rwm' },
]

/** What may be opened, whatever nodes a container makes itself; undefined for a privileged container. */
export function deviceRules(spec: ContainerSpec): readonly DeviceRule[] | undefined {
  if (spec.privilege.isPrivileged === true) return undefined
  const asked = findDevices(spec).nodes.map(({ mode, major, minor, permissions }): DeviceRule => ({ kind: (mode & kindMask) === blockDevice ? 'b' : 'c', major, minor, permissions }))
  return [...defaults, ...asked]
}
