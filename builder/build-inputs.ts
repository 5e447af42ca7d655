import type { Task } from '../core/task.ts'
import { silent } from '../core/task.ts'
import type { Store } from '../storage/index.ts'
import { SharedCaches } from './cache/shared/shared-caches.ts'
import type { NamedContext } from './context/named-context.ts'
import { parseNamedContext } from './context/named-context.ts'
import type { BuildContext, ContextRequest } from './context/open-context.ts'
import { openContext } from './context/open-context.ts'
import { normalizeContextName } from './dockerfile/stage-graph.ts'
import type { BuildEvent } from './events.ts'
import { createCachedLayers } from './execute/cached-layers.ts'
import { runAlone } from './execute/executor.ts'
import { createGitExecutor } from './execute/git.ts'
import { lowerGit } from './plan/lower-copy.ts'

/** What of a request says where things come from. */
export interface BuildInputs extends ContextRequest {
  readonly contexts?: Readonly<Record<string, string>>
  readonly buildArgs?: Readonly<Record<string, string>>
}

/** The Dockerfile and the files it may copy; what is no folder becomes a tree of the store first. */
export function openBuildContext(store: Store, request: BuildInputs, task: Task<BuildEvent>): Promise<BuildContext> {
  const keepsGit = request.buildArgs?.['BUILDKIT_CONTEXT_KEEP_GIT_DIR']
  return openContext(request, {
    empty: store.layers.view(undefined),
    fileDigests: store.fileDigests,
    unpack: async (tar, inner) => store.layers.view((await store.layers.apply(undefined, tar, undefined, inner)).chainId),
    checkOut: async (reference) => {
      const executor = createGitExecutor({ store, layers: createCachedLayers(store, { now: () => new Date(), shared: new SharedCaches(store, []), used: new Map() }) })
      const node = lowerGit({ ...reference, keepsGitDirectory: reference.keepsGitDirectory ?? (keepsGit === '1' || keepsGit === 'true') })
      return store.layers.view((await runAlone(executor, node, task)).chainId)
    },
  }, silent(task))
}

export function namedContexts({ contexts = {} }: Pick<BuildInputs, 'contexts'>): Map<string, NamedContext> {
  return new Map(Object.entries(contexts).map(([name, value]) => [normalizeContextName(name), parseNamedContext(value)]))
}
