import { expect, it } from 'vitest'
import type { BuildEvent } from './events.ts'
import type { NodeId } from './plan/plan.ts'
import { toldOnce } from './told-once.ts'

const [one, two] = ['1', '2'] as string[] as NodeId[]

it('tells of a step that is found again nothing, and of one that is run after all everything', () => {
  const seen: string[] = []
  const { emit } = toldOnce({ signal: new AbortController().signal, emit: (event) => { seen.push('node' in event ? `${event.node} ${event.type} ${event.type === 'node-finished' ? event.outcome : ''}`.trim() : event.type) } })
  const tell = (node: NodeId | undefined, outcome: 'cached' | 'executed' | 'canceled'): void => {
    if (node === undefined) return
    const finished: BuildEvent = { type: 'node-finished', node, outcome, atMs: 1, usage: undefined }
    emit({ type: 'node-started', node, atMs: 0 })
    if (outcome !== 'cached') emit({ type: 'cache-missed', node, cause: { kind: 'never-built' } })
    emit(finished)
  }
  tell(one, 'cached')
  tell(two, 'canceled')
  seen.length = 0
  tell(one, 'cached')
  tell(two, 'executed')
  tell(two, 'cached')
  expect(seen).toEqual(['2 node-started', '2 cache-missed', '2 node-finished executed'])
  seen.length = 0
  tell(one, 'executed')
  expect(seen).toEqual(['1 node-started', '1 cache-missed', '1 node-finished executed'])
})
