import type { Task } from '../../core/task.ts'
import { chainIds } from '../../oci/digest.ts'
import { cacheKey } from '../cache/cache-key.ts'
import type { BuildEvent } from '../events.ts'
import type { SourceNode } from '../plan/plan.ts'
import type { Executed, Executor, NodeResult } from './executor.ts'

/** Brings the layers of an image that planning resolved. */
export type EnsureImage = (source: SourceNode, task: Task<BuildEvent>) => Promise<void>

/** A base image's result is known from its config alone; its layers come when the first step needs them. */
export function createSourceExecutor(ensureImage: EnsureImage): Executor<SourceNode> {
  return {
    find: ({ node }) => Promise.resolve({ kind: 'hit', key: cacheKey('source', []), result: sourceResult(node, ensureImage) }),
    run: ({ node }): Promise<Executed> => Promise.resolve({ result: sourceResult(node, ensureImage), usage: undefined }),
  }
}

function sourceResult(node: SourceNode, ensureImage: EnsureImage): NodeResult {
  const { diffIds } = node
  return { chainId: chainIds(diffIds).at(-1), diffIds, created: undefined, ensure: (task) => ensureImage(node, task) }
}
