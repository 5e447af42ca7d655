import { DockerfileError, quote } from './errors.ts'
import type { DockerfileSource, Instruction, Word } from './instruction.ts'
import { findNearest } from '../../core/nearest.ts'
import { isPolicy } from './syntax/line-reader.ts'
import { parseDuration } from './values/duration.ts'
import { parseSize } from './values/size.ts'

/** What `# tsbuild: memory=2g pids=200 timeout=5m retry=3 cache=off` above an instruction asks for; undefined where it says nothing. */
export interface StepPolicy {
  readonly memoryBytes: number | undefined
  readonly pids: number | undefined
  readonly timeoutMs: number | undefined
  /** How often a failed step is tried again. */
  readonly retries: number | undefined
  /** False: the step is run whether or not its result is known. */
  readonly cache: boolean | undefined
}

/** What a step without such a comment has. */
export const noPolicy: StepPolicy = { memoryBytes: undefined, pids: undefined, timeoutMs: undefined, retries: undefined, cache: undefined }

type PolicyKey = 'memory' | 'pids' | 'timeout' | 'retry' | 'cache'

const keysOf: { readonly [K in Instruction['kind']]?: readonly PolicyKey[] } = {
  RUN: ['memory', 'pids', 'timeout', 'retry', 'cache'],
  ADD: ['timeout', 'retry', 'cache'],
  COPY: ['cache'],
}

/**
 * The policy that the comments above an instruction give it. Several comments add up.
 * @throws {DockerfileError} for a key that is unknown, given twice, or without effect on this kind of instruction
 */
export function parseStepPolicy(instruction: Instruction, source: DockerfileSource): StepPolicy {
  if (!instruction.comments.some(isPolicy)) return noPolicy
  const values = new Map<PolicyKey, Word>()
  for (const comment of instruction.comments.filter(isPolicy)) {
    for (const setting of settingsOf(comment)) {
      const [key, value] = splitSetting(instruction, source, setting)
      if (values.has(key)) throw new DockerfileError({ source, range: setting.range }, { rule: 'step-policy', problem: `${key} is given twice`, remedy: 'keep one of them' })
      values.set(key, value)
    }
  }
  const read = <T>(key: PolicyKey, parse: (word: Word) => T): T | undefined => {
    const word = values.get(key)
    return word === undefined ? undefined : parse(word)
  }
  return {
    memoryBytes: read('memory', ({ text, range }) => parseSize(text, { source, range })),
    pids: read('pids', (word) => parseCount(word, source, 1)),
    timeoutMs: read('timeout', (word) => parseTimeout(word, source)),
    retries: read('retry', (word) => parseCount(word, source, 0)),
    cache: read('cache', (word) => parseSwitch(word, source)),
  }
}

function settingsOf(comment: Word): Word[] {
  const { range, text } = comment
  return [...text.slice(text.indexOf(':') + 1).matchAll(/\S+/gu)].map(([setting], index, all) => {
    const start = text.indexOf(':') + 1 + (all[index]?.index ?? 0)
    return { text: setting, range: { ...range, startColumn: range.startColumn + start, endColumn: range.startColumn + start + setting.length } }
  })
}

function splitSetting(instruction: Instruction, source: DockerfileSource, { text, range }: Word): readonly [PolicyKey, Word] {
  const equals = text.indexOf('=')
  const key = equals === -1 ? text : text.slice(0, equals)
  const keys = keysOf[instruction.kind] ?? []
  const known = keys.find((other) => other === key)
  if (known !== undefined && equals !== -1) return [known, { text: text.slice(equals + 1), range: { ...range, startColumn: range.startColumn + equals + 1 } }]
  const all = keysOf.RUN ?? []
  const isElsewhere = all.some((other) => other === key)
  throw new DockerfileError({ source, range }, {
    rule: 'step-policy',
    problem: known !== undefined ? `${key} has no value` : isElsewhere ? `${key} has no effect on ${instruction.kind}` : `there is no policy ${quote(key)}`,
    remedy: keys.length === 0 ? 'put it above a RUN, COPY or ADD' : `${instruction.kind} takes ${keys.map((other) => `${other}=…`).join(' ')}`,
    suggestion: known === undefined ? findNearest(key, keys) : undefined,
  })
}

function parseCount({ text, range }: Word, source: DockerfileSource, least: number): number {
  const count = /^\d{1,7}$/u.test(text) ? Number(text) : -1
  if (count >= least) return count
  throw new DockerfileError({ source, range }, { rule: 'number', problem: `${quote(text)} is no number from ${least} on` })
}

function parseTimeout({ text, range }: Word, source: DockerfileSource): number {
  const timeoutMs = Math.ceil(parseDuration(text, { source, range }) / 1e6)
  if (timeoutMs > 0) return timeoutMs
  throw new DockerfileError({ source, range }, { rule: 'duration', problem: `${quote(text)} leaves no time at all` })
}

function parseSwitch({ text, range }: Word, source: DockerfileSource): boolean {
  if (text === 'on' || text === 'off') return text === 'on'
  throw new DockerfileError({ source, range }, { rule: 'step-policy', problem: `cache is ${quote(text)}, want on or off`, suggestion: findNearest(text, ['on', 'off']) })
}
