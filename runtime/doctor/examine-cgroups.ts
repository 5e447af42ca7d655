import { isDelegated } from '../cgroup/delegation.ts'
import type { CgroupHierarchy } from '../cgroup/hierarchies.ts'
import type { HostSupport } from '../host-support.ts'
import type { HostFinding } from './finding.ts'
import { missing, offered } from './finding.ts'

/** What a limit or a report needs, with the words of both versions. */
const wanted: readonly { readonly name: string; readonly controllers: readonly string[] }[] = [
  { name: 'memory', controllers: ['memory'] },
  { name: 'cpu', controllers: ['cpu'] },
  { name: 'cpuset', controllers: ['cpuset'] },
  { name: 'pids', controllers: ['pids'] },
  { name: 'io', controllers: ['io', 'blkio'] },
]

const delegation: Readonly<Record<CgroupHierarchy['kind'], string>> = {
  v1: 'let an administrator make a group there, give it to the user (chown -R) and start tsbuild in it',
  v2: 'give this session a group of its own: systemd-run --user --scope -p Delegate=yes tsbuild …, or Delegate=yes in user@.service',
}

export function examineCgroups({ hierarchies }: HostSupport): HostFinding[] {
  return wanted.map(({ name, controllers }) => {
    const hierarchy = hierarchies.find((known) => controllers.some((controller) => known.controllers.includes(controller)))
    if (hierarchy === undefined) return missing(`cgroup-${name}`, `no mounted cgroup hierarchy has the ${name} controller`, 'boot with it enabled, or mount the hierarchy')
    const detail = `cgroup ${hierarchy.kind} at ${hierarchy.ownGroup}`
    return isDelegated(hierarchy) ? offered(`cgroup-${name}`, detail) : missing(`cgroup-${name}`, `${detail} is not ours to make groups in`, delegation[hierarchy.kind])
  })
}
