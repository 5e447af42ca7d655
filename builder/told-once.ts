import type { Task } from '../core/task.ts'
import type { BuildEvent } from './events.ts'
import type { NodeId } from './plan/plan.ts'

/**
 * A task for solving that may begin again: of a step that was told of before, being found in the cache is no news, so that
 * one that was executed the first time stays executed.
 */
export function toldOnce({ signal, emit }: Task<BuildEvent>): Task<BuildEvent> {
  const told = new Set<NodeId>()
  const held = new Map<NodeId, BuildEvent>()
  return {
    signal,
    emit: (event) => {
      if (event.type === 'node-started' && told.has(event.node)) {
        held.set(event.node, event)
        return
      }
      if ('node' in event) {
        const start = held.get(event.node)
        held.delete(event.node)
        if (event.type === 'node-finished' && event.outcome === 'cached' && told.has(event.node)) return
        if (start !== undefined) emit(start)
        if (event.type === 'node-finished' && (event.outcome === 'cached' || event.outcome === 'executed')) told.add(event.node)
      }
      emit(event)
    },
  }
}
