/** Events of builds that never were, for whoever shows builds. */
import type { BuildEvent } from '../../builder/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { parseDigest } from '../../oci/digest.ts'

type Planned = Extract<BuildEvent, { type: 'build-planned' }>
type NodeId = Planned['steps'][number]['node']

export interface FakePlan {
  readonly event: Planned
  readonly digest: Digest
  /** Of the n-th step, counted over all stages. */
  readonly node: (index: number) => NodeId
}

/** A plan of these instructions by stage. */
export function makePlan(stages: Readonly<Record<string, readonly string[]>>): FakePlan {
  const text = Object.values(stages).flat().join('\n')
  const source = { name: 'Dockerfile', text }
  let line = 0
  const steps = Object.entries(stages).flatMap(([stage, instructions]) => instructions.map((instruction, index) => {
    line += 1
    const range = { startLine: line, startColumn: 0, endLine: line, endColumn: instruction.length }
    return { node: `sha256:${String(line).padStart(64, '0')}` as NodeId, label: { stage, step: index + 1, steps: instructions.length, source: instruction, place: { source, range } } }
  }))
  const node = (index: number): NodeId => {
    const step = steps[index]
    if (step === undefined) throw new TypeError(`no step ${index}`)
    return step.node
  }
  return { event: { type: 'build-planned', steps }, digest: parseDigest(`sha256:${'4f'.repeat(32)}`), node }
}

export function started(node: NodeId, atMs: number): BuildEvent {
  return { type: 'node-started', node, atMs }
}
