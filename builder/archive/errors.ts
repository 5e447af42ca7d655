import { TsbuildError } from '../../core/errors.ts'

/** An archive to load or import is not what it should be. No image was made of it. */
export class MalformedArchive extends TsbuildError {
  readonly code = 'BUILDER_MALFORMED_ARCHIVE'

  constructor(problem: string, options?: ErrorOptions) {
    super(`cannot read archive: ${problem}`, options)
  }
}
