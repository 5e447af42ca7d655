import { TsbuildError } from '../core/errors.ts'

/** A failure record of the helper, see native/helper/report.h. */
export interface ReportedFailure {
  readonly stage: number
  /** `ENOENT` and the like. */
  readonly errnoName: string
  /** The object of the failed call. */
  readonly text: string
}

/**
 * The helper could not do what it was asked. Folders that start it turn the `stage` of their mode into an error of
 * their own and keep this one as its cause.
 */
export class HelperFailure extends TsbuildError {
  readonly code = 'NATIVE_HELPER_FAILURE'
  readonly mode: string
  readonly stage: number
  readonly errnoName: string
  readonly object: string

  constructor(mode: string, failure: ReportedFailure) {
    super(`helper "${mode}" failed at stage ${failure.stage} on ${JSON.stringify(failure.text)}: ${failure.errnoName}`)
    this.mode = mode
    this.stage = failure.stage
    this.errnoName = failure.errnoName
    this.object = failure.text
  }
}
