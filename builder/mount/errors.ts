import { TsbuildError } from '../../core/errors.ts'

/** A RUN step wants a secret or an ssh agent that it cannot have. The value is in no message. */
export class SecretUnavailable extends TsbuildError {
  readonly code = 'BUILDER_SECRET_UNAVAILABLE'
  readonly id: string
  /** What to add to the command line. */
  readonly remedy: string | undefined

  // eslint-disable-next-line max-params -- the cause is every error's last
  constructor(id: string, problem: string, remedy: string | undefined, options?: ErrorOptions) {
    super(`cannot give "${id}" to the step: ${problem}${remedy === undefined ? '' : `; add ${remedy}`}`, options)
    this.id = id
    this.remedy = remedy
  }
}

/** A cache mount cannot be read or written as asked. */
export class CacheMountUnsuitable extends TsbuildError {
  readonly code = 'BUILDER_CACHE_MOUNT_UNSUITABLE'
  readonly id: string

  constructor(id: string, problem: string) {
    super(`cannot use cache mount "${id}": ${problem}`)
    this.id = id
  }
}
