import { describe, expect, it } from 'vitest'
import type { BuildEvent } from '../../builder/index.ts'
import { makePlan } from '../../test/support/build-events.ts'
import { schemaProblems } from '../../test/support/event-schema.ts'
import { JsonRenderer } from './json.ts'

const plan = makePlan({ base: ['FROM busybox', 'RUN make'] })
const node = plan.node(1)
const label = plan.event.steps[1]?.label

const noUsage = {
  wallMs: 0, memoryPeakBytes: undefined, memoryCurrentBytes: undefined, oomKills: 0, cpuMs: undefined, cpuPeriods: undefined, cpuThrottledPeriods: undefined, cpuThrottledMs: undefined,
  pidsPeak: 1, pidsDenied: undefined, ioReadBytes: 0, ioWriteBytes: 1, ioReads: 0, ioWrites: 1, pressure: { cpuMs: 1.5, memoryMs: 0, ioMs: 0 },
}

/** At least one of each kind: a new kind does not compile until it is here. */
const events: { readonly [Kind in BuildEvent['type']]: readonly Extract<BuildEvent, { type: Kind }>[] } = {
  'build-planned': [plan.event],
  'node-started': [{ type: 'node-started', node, atMs: 5 }],
  'node-output': [
    { type: 'node-output', node, stream: 'stdout', bytes: Buffer.from('täxt'), atMs: 1 },
    { type: 'node-output', node, stream: 'stderr', bytes: Buffer.from([0xff, 0x00]), atMs: 1 },
  ],
  'node-finished': [
    { type: 'node-finished', node, outcome: 'cached', atMs: 7, usage: undefined },
    { type: 'node-finished', node, outcome: 'executed', atMs: 7, usage: { ...noUsage, wallMs: 1.5, memoryPeakBytes: 1, cpuMs: 0.5 } },
  ],
  'cache-missed': [
    { type: 'cache-missed', node, cause: { kind: 'never-built' } },
    { type: 'cache-missed', node, cause: { kind: 'base-changed', before: 'a', after: 'b' } },
    { type: 'cache-missed', node, cause: { kind: 'changed', part: 'env A', before: undefined, after: 'x' } },
  ],
  'usage-sampled': [{ type: 'usage-sampled', node, atMs: 5, memoryBytes: 1, processes: 1, cpuMs: 10 }, { type: 'usage-sampled', node, atMs: 5, memoryBytes: undefined, processes: 1, cpuMs: 10 }],
  'layer-rebased': [{ type: 'layer-rebased', node, before: 'nothing', after: plan.digest }],
  'image-resolving': [{ type: 'image-resolving', name: 'busybox', atMs: 1 }],
  'image-resolved': [{ type: 'image-resolved', name: 'busybox', digest: plan.digest, atMs: 1 }],
  'image-exported': [{ type: 'image-exported', id: plan.digest, names: ['docker.io/library/a:1'], atMs: 1 }],
  'warning-raised': [
    { type: 'warning-raised', rule: 'StageNameCasing', message: 'x', range: undefined },
    { type: 'warning-raised', rule: 'StageNameCasing', message: 'x', range: { startLine: 1, startColumn: 0, endLine: 1, endColumn: 4 } },
  ],
  'transfer-progressed': [{ type: 'transfer-progressed', direction: 'pull', digest: plan.digest, doneBytes: 0, totalBytes: 1, outcome: 'running' }],
  'build-finished': [
    { type: 'build-finished', build: 'abcdef123456', outcome: 'succeeded', atMs: 9, image: { id: plan.digest, names: [], layers: [{ createdBy: 'RUN make', diffId: plan.digest, sizeBytes: 1, inodes: 2 }] }, error: undefined },
    { type: 'build-finished', build: 'abcdef123456', outcome: 'failed', atMs: 9, image: undefined, error: { code: 'BUILDER_STEP_FAILED', message: 'no', step: label } },
  ],
}

function write(event: BuildEvent): unknown {
  const lines: string[] = []
  new JsonRenderer((line) => lines.push(line)).handle(event)
  return JSON.parse(lines.join('\n'))
}

describe('the JSON lines', () => {
  it.each(Object.entries(events))('of kind %s are what the schema says', (_, samples) => {
    for (const sample of samples) expect(schemaProblems(write(sample))).toEqual([])
  })

  it('are refused by the schema when something is missing or wrong', () => {
    expect(schemaProblems({ type: 'node-started', node })).not.toEqual([])
    expect(schemaProblems({ type: 'node-output', node, stream: 'stdout', atMs: 1 })).not.toEqual([])
    expect(schemaProblems({ type: 'something-else' })).not.toEqual([])
  })

  it('carry output as text where it is text, and name a step without the Dockerfile around it', () => {
    expect(events['node-output'].map(write)).toMatchObject([{ text: 'täxt' }, { base64: '/wA=' }])
    expect(write(plan.event)).toMatchObject({ steps: [{}, { stage: 'base', step: 2, source: 'RUN make', place: { file: 'Dockerfile', startLine: 2 } }] })
    expect(JSON.stringify(write(plan.event))).not.toContain('"text"')
  })
})
