import { TsbuildError } from '../../core/errors.ts'
import type { DockerfileSource, SourceRange } from './instruction.ts'

/** Which part of the language was broken: stable names for tests, JSON output and documentation. */
export type DockerfileRule =
  | 'argument-count' | 'check-options' | 'checksum' | 'directive' | 'duration' | 'encoding' | 'expansion' | 'flag'
  | 'healthcheck' | 'heredoc' | 'instruction' | 'json-form' | 'key-value' | 'limit' | 'mode' | 'mount' | 'number'
  | 'onbuild' | 'owner' | 'platform' | 'port' | 'signal' | 'stage' | 'step-policy' | 'syntax-image' | 'volume'

/** Where in which text something stands. */
export interface Place {
  readonly source: DockerfileSource
  readonly range: SourceRange
}

export interface Problem {
  readonly rule: DockerfileRule
  /** What was found and what was wanted, without the place. */
  readonly problem: string
  /** What to write instead, as a sentence without a full stop. */
  readonly remedy?: string | undefined
  /** The nearest thing that exists: `FROM` for `FORM`. */
  readonly suggestion?: string | undefined
}

/**
 * The Dockerfile breaks the language. Holds everything an excerpt needs: the text, the range to underline, the rule,
 * the remedy and the nearest right thing.
 */
export class DockerfileError extends TsbuildError {
  readonly code = 'BUILDER_DOCKERFILE_INVALID'
  readonly rule: DockerfileRule
  readonly source: DockerfileSource
  readonly range: SourceRange
  readonly problem: string
  readonly remedy: string | undefined
  readonly suggestion: string | undefined

  constructor({ source, range }: Place, { rule, problem, remedy, suggestion }: Problem, options?: ErrorOptions) {
    const hint = suggestion === undefined ? '' : `; did you mean "${suggestion}"?`
    super(`cannot read "${source.name}" line ${range.startLine}: ${problem}${hint}`, options)
    this.rule = rule
    this.source = source
    this.range = range
    this.problem = problem
    this.remedy = remedy
    this.suggestion = suggestion
  }
}

/** Quoted, with control characters escaped, and cut to a length a message can carry. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}
