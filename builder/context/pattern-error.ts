import { TsbuildError } from '../../core/errors.ts'

/** A pattern of .dockerignore, --exclude or --parents cannot be understood. */
export class MalformedPattern extends TsbuildError {
  readonly code = 'BUILDER_MALFORMED_PATTERN'
  readonly pattern: string
  /** The line of the ignore file; undefined for a flag. */
  readonly line: number | undefined

  constructor(pattern: string, line: number | undefined, problem: string) {
    super(`cannot use pattern ${JSON.stringify(pattern)}${line === undefined ? '' : ` of line ${line}`}: ${problem}`)
    this.pattern = pattern
    this.line = line
  }
}
