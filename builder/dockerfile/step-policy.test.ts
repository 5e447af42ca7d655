import { describe, expect, it } from 'vitest'
import { parseDockerfile } from './parse.ts'
import type { StepPolicy } from './step-policy.ts'
import { parseStepPolicy } from './step-policy.ts'

function policyOf(comments: string, instruction = 'RUN x'): StepPolicy {
  const { stages, source } = parseDockerfile({ name: 'Dockerfile', text: `FROM scratch\n${comments}\n${instruction}\n` })
  const [first] = stages[0]?.instructions ?? []
  if (first === undefined) throw new Error('no instruction')
  return parseStepPolicy(first, source)
}
const nothing: StepPolicy = { memoryBytes: undefined, pids: undefined, timeoutMs: undefined, retries: undefined, cache: undefined }

describe('parseStepPolicy', () => {
  it('reads every setting, over several comments and other comments between', () => {
    expect(policyOf('# tsbuild: memory=1.5g pids=200\n# why\n#tsbuild:timeout=1m30s\n\n# tsbuild : retry=0 cache=off')).toEqual({
      memoryBytes: 1.5 * 2 ** 30, pids: 200, timeoutMs: 90_000, retries: 0, cache: false,
    })
  })

  it('asks for nothing where no comment does', () => {
    expect(policyOf('# tsbuild is great\n# memory=2g')).toEqual(nothing)
    expect(policyOf('')).toEqual(nothing)
  })

  it('takes for each instruction what has effect on it', () => {
    expect(policyOf('# tsbuild: cache=on', 'COPY a b')).toEqual({ ...nothing, cache: true })
    expect(policyOf('# tsbuild: timeout=100ms retry=2', 'ADD a b')).toEqual({ ...nothing, timeoutMs: 100, retries: 2 })
  })

  it.each([
    ['memory=2g', 'COPY a b', 'step-policy'], ['timeout=1s', 'COPY a b', 'step-policy'], ['pids=2', 'ADD a b', 'step-policy'], ['cache=off', 'ENV a=b', 'step-policy'],
    ['cpus=2', 'RUN x', 'step-policy'], ['memory', 'RUN x', 'step-policy'], ['cache=of', 'RUN x', 'step-policy'], ['retry=1 retry=1', 'RUN x', 'step-policy'],
    ['pids=0', 'RUN x', 'number'], ['pids=-1', 'RUN x', 'number'], ['retry=1.5', 'RUN x', 'number'], ['memory=x', 'RUN x', 'number'],
    ['timeout=0', 'RUN x', 'duration'], ['timeout=-1s', 'RUN x', 'duration'], ['timeout=5', 'RUN x', 'duration'],
  ])('refuses %s above %s as a matter of %s', (settings, instruction, rule) => {
    expect(() => policyOf(`# tsbuild: ${settings}`, instruction)).toThrow(expect.objectContaining({ rule, range: expect.objectContaining({ startLine: 2 }) as unknown }))
  })

  it('is refused where the file is read, not where it is used', () => {
    expect(() => parseDockerfile({ name: 'Dockerfile', text: '# tsbuild: retry=1\nFROM scratch\n' })).toThrow(expect.objectContaining({ rule: 'step-policy' }))
  })
})
