import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { BuildEvent } from '../../builder/index.ts'
import { makePlan, started } from '../../test/support/build-events.ts'
import { GithubRenderer } from './github.ts'

const plan = makePlan({ one: ['FROM busybox', 'RUN make'], two: ['RUN other'] })
const [from, make, other] = [plan.node(0), plan.node(1), plan.node(2)]
const says = (node: typeof from, text: string): BuildEvent => ({ type: 'node-output', node, stream: 'stdout', bytes: Buffer.from(text), atMs: 1000 })
const ends = (node: typeof from, outcome: 'cached' | 'executed' | 'failed'): BuildEvent => ({ type: 'node-finished', node, outcome, atMs: 2000, usage: undefined })

async function render(...events: readonly BuildEvent[]): Promise<string[]> {
  const lines: string[] = []
  const renderer = new GithubRenderer((line) => lines.push(line))
  for (const [index, event] of events.entries()) {
    // Lets the clock of the test run.
    if (index % 1000 === 999) await setImmediate()
    renderer.handle(event)
  }
  await renderer.finish()
  const token = lines.find((line) => line.startsWith('::stop-commands::'))?.slice('::stop-commands::'.length) ?? '-'
  return lines.map((line) => line.replace(token, 'TOKEN'))
}

describe('the renderer for GitHub Actions', () => {
  it('folds each step that runs, one after the other, though they ran at the same time', async () => {
    const lines = await render(plan.event, started(from, 0), ends(from, 'cached'), started(make, 0), started(other, 0), says(make, 'a\n'), says(other, '##[set-env name=X]y\n'), says(make, 'b\n'), ends(make, 'executed'), ends(other, 'executed'))
    expect(lines).toEqual([
      '#1 [one 1/2] FROM busybox', '#1 CACHED',
      '::group::#2 [one 2/2] RUN make', '::stop-commands::TOKEN', '#2 1.00s a', '#2 1.00s b', '#2 DONE 2.00s', '::TOKEN::', '::endgroup::',
      '::group::#3 [two 1/1] RUN other', '::stop-commands::TOKEN', '#3 1.00s ##[set-env name=X]y', '#3 DONE 2.00s', '::TOKEN::', '::endgroup::',
    ])
  })

  it('holds back every line of a step that waits for another to end', async () => {
    const numbers = Array.from({ length: 60_000 }, (_, index) => String(index))
    const lines = await render(plan.event, started(make, 0), says(make, 'a\n'), started(other, 0), ...numbers.map((number) => says(other, `${number}\n`)), ends(make, 'executed'), ends(other, 'executed'))
    expect(lines.slice(8, -3)).toEqual(numbers.map((number) => `#3 1.00s ${number}`))
  }, 10_000)

  it('annotates the lines of the Dockerfile that warnings and the failure are about', async () => {
    const lines = await render(plan.event, { type: 'warning-raised', rule: 'Rule', message: '50% of\nit', range: { startLine: 2, startColumn: 0, endLine: 3, endColumn: 1 } },
      { type: 'build-finished', build: 'abcdef123456', outcome: 'failed', atMs: 3, image: undefined, error: { code: 'X', message: 'cannot build', step: plan.event.steps[2]?.label } })
    expect(lines).toContain('::warning file=Dockerfile,line=2,endLine=3,title=Rule::50%25 of%0Ait')
    expect(lines).toContain('::error file=Dockerfile,line=3,endLine=3,title=build failed::cannot build')
  })
})
