import type { HelperMount, Pair } from '../container-defaults.ts'
import { mountAttributes } from '../container-defaults.ts'
import type { Network } from '../container-spec.ts'
import type { IdMaps } from './id-maps.ts'
import { isMapped } from './id-maps.ts'

interface Surroundings {
  /** Of the user namespace that the container's mounts will belong to; undefined in the system's own. */
  readonly ids: IdMaps | undefined
  readonly network: Network['mode']
}

const { readonly: ro, nosuid, nodev, noexec } = mountAttributes

/**
 * A container's mounts as far as root of a user namespace may make them: no device can be made there, so the host's are
 * mounted; /sys is that of a network namespace which must be the namespace's own; and ids have to exist.
 */
export function adaptMounts(mounts: readonly HelperMount[], { ids, network }: Surroundings): HelperMount[] {
  return ids === undefined ? [...mounts] : mounts.flatMap((mount) => adapt(mount, ids, network))
}

function adapt(mount: HelperMount, ids: IdMaps, network: Network['mode']): HelperMount[] {
  if (mount.kind !== 'filesystem') return [mount]
  if (mount.type === 'sysfs' && network === 'host') return [{ kind: 'bind', source: '/sys', target: mount.target, isPinned: true, attributes: ro | nosuid | nodev | noexec }]
  const options = mount.options.filter((option) => isPossible(option, ids))
  const { nodes = [], ...rest } = mount
  return [{ ...rest, options }, ...nodes.map((node): HelperMount => {
    const target = `${mount.target}/${node.name}`
    return { kind: 'bind', source: node.source ?? target, target, isPinned: true, attributes: nosuid | noexec }
  })]
}

function isPossible([key, value]: Pair, ids: IdMaps): boolean {
  return key !== 'gid' || isMapped(ids.gids, Number(value))
}
