import type { Task } from '../../core/task.ts'
import type { KeyPart } from '../cache/cache-key.ts'
import type { BuildEvent } from '../events.ts'
import type { Step } from '../execute/executor.ts'
import type { CopyOrigin, PlannedMount, RunNode } from '../plan/plan.ts'
import type { MountParts } from './mount-parts.ts'
import { mountSourceDigest } from './mount-source.ts'

/** Mounts as they are written: what caches hold and whose they are, what secrets are, and who the agent is does not count. */
export function mountDefinitions({ mounts }: RunNode): KeyPart[] {
  return mounts.map((mount) => ({ name: nameOf(mount), value: JSON.stringify({ ...mount, from: undefined, isOwned: undefined }) }))
}

/** What bind mounts show, by the layers of their stages; undefined when one of them is of the build context. */
export function mountLayers({ node, input }: Step<RunNode>): KeyPart[] | undefined {
  const origins = node.mounts.map(originOf)
  if (origins.some((origin) => origin?.kind === 'context')) return undefined
  return node.mounts.flatMap((mount, index) => {
    const origin = origins[index]
    return origin?.kind === 'node' ? { name: `${nameOf(mount)} layers`, value: input(origin.node).chainId ?? '' } : []
  })
}

/** The same by content. */
export async function mountContents(access: { readonly step: Step<RunNode>; readonly parts: MountParts }, task: Task<BuildEvent>): Promise<KeyPart[]> {
  const parts: KeyPart[] = []
  for (const mount of access.step.node.mounts) {
    if (mount.type !== 'bind' && mount.type !== 'cache') continue
    parts.push({ name: `${nameOf(mount)} content`, value: await mountSourceDigest(mount, access, task) })
  }
  return parts
}

function nameOf(mount: PlannedMount): string {
  return mount.type === 'secret' && mount.target === undefined ? `mount of secret ${mount.id}` : `mount ${mount.target ?? ''}`
}

function originOf(mount: PlannedMount): CopyOrigin | undefined {
  return mount.type === 'bind' || mount.type === 'cache' ? mount.from : undefined
}
