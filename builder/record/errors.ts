import { TsbuildError } from '../../core/errors.ts'

/** No build record has this id; the oldest are removed as new ones come. */
export class BuildNotFound extends TsbuildError {
  readonly code = 'BUILDER_BUILD_NOT_FOUND'
  readonly build: string

  constructor(build: string, problem = 'is not among the records of this store: "tsbuild history builds" lists them') {
    super(`cannot use build "${build}": it ${problem}`)
    this.build = build
  }
}

/** Several build records begin with what was given as an id. */
export class BuildAmbiguous extends TsbuildError {
  readonly code = 'BUILDER_BUILD_AMBIGUOUS'
  readonly build: string

  constructor(build: string, count: number) {
    super(`cannot tell which build "${build}" means: ${count} ids begin with it`)
    this.build = build
  }
}
