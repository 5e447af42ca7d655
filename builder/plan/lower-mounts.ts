import { posix } from 'node:path'
import { DockerfileError } from '../dockerfile/errors.ts'
import type { Place } from '../dockerfile/errors.ts'
import type { ExpandContext } from '../dockerfile/expand/expand.ts'
import type { RunInstruction } from '../dockerfile/instruction.ts'
import type { CacheMount, RunMount } from '../dockerfile/values/run-mount.ts'
import { parseRunMount, resolveMountTarget } from '../dockerfile/values/run-mount.ts'
import type { CopyOrigin, PlannedCacheMount, PlannedMount } from './plan.ts'
import type { StageState } from './stage-state.ts'

export interface MountContext {
  readonly expand: ExpandContext
  /** Of BUILDKIT_CACHE_MOUNT_NS; caches of different namespaces are different. */
  readonly cacheNamespace: string
  /** What a `from` means; undefined is the build context. */
  readonly origin: (from: string | undefined) => Promise<CopyOrigin>
}

/** @throws {DockerfileError} */
export async function lowerMounts(state: StageState, instruction: RunInstruction, context: MountContext): Promise<PlannedMount[]> {
  const mounts: PlannedMount[] = []
  let sshCount = 0
  for (const word of instruction.mounts) {
    const place = { source: context.expand.source, range: word.range }
    const { mount } = parseRunMount(word, state.scope.variables, context.expand)
    if (mount.type === 'ssh') sshCount += 1
    mounts.push(await lowerMount(mount, { state, place, context, sshNumber: sshCount - 1 }))
  }
  return mounts
}

interface Lowering {
  readonly state: StageState
  readonly place: Place
  readonly context: MountContext
  readonly sshNumber: number
}

async function lowerMount(mount: RunMount, { state, place, context, sshNumber }: Lowering): Promise<PlannedMount> {
  const locate = (target: string): string => resolveMountTarget(target, state.config.WorkingDir ?? '/', place)
  switch (mount.type) {
    case 'bind': return { type: 'bind', target: locate(mount.target), from: await context.origin(mount.from), source: mount.source, isReadOnly: mount.isReadOnly }
    case 'cache': return lowerCache(mount, locate(mount.target), { place, context })
    case 'tmpfs': return { type: 'tmpfs', target: locate(mount.target), sizeBytes: mount.sizeBytes, isReadOnly: mount.isReadOnly }
    case 'secret': return { ...mount, target: mount.target === undefined ? undefined : locate(mount.target) }
    case 'ssh': return { ...mount, target: locate(mount.target ?? `/run/buildkit/ssh_agent.${sshNumber}`) }
  }
}

/** With `from` a cache is made of that directory, and whose owner and mode it has is said there. */
async function lowerCache(mount: CacheMount, target: string, { place, context }: { place: Place; context: MountContext }): Promise<PlannedCacheMount> {
  const { id, source, from, sharing, isReadOnly, mode, uid, gid, isOwned } = mount
  if (from === undefined && source !== '') {
    throw new DockerfileError(place, { rule: 'mount', problem: 'a cache mount has a source and no from', remedy: 'say from=STAGE for what the cache is to begin with, or leave source out' })
  }
  const owner = from === undefined ? { mode, uid, gid, isOwned } : { mode: 0o755, uid: 0, gid: 0, isOwned: true }
  return {
    type: 'cache', target, sharing, isReadOnly, source, ...owner,
    id: `${context.cacheNamespace}/${id ?? posix.normalize(target)}`,
    from: from === undefined ? undefined : await context.origin(from),
  }
}
