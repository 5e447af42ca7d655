import { TsbuildError } from '../../../core/errors.ts'
import type { CacheSource } from './cache-place.ts'

/** There is no cache at this place. */
export class CacheMissing extends TsbuildError {
  readonly code = 'BUILDER_CACHE_MISSING'
  readonly place: string

  constructor(place: string) {
    super(`cannot read the cache "${place}": there is none`)
    this.place = place
  }
}

/** What a step results in is known, and its layer, now needed, is in no cache. */
export class ResultNotKept extends TsbuildError {
  readonly code = 'BUILDER_RESULT_NOT_KEPT'

  constructor(place: string) {
    super(`cannot use the cache "${place}" for this step: it knows the result, and does not have it`)
  }
}

/** A cache promised a layer and did not give it: it is gone, or is not what the cache said. */
export class CacheSourceFailed extends TsbuildError {
  readonly code = 'BUILDER_CACHE_SOURCE_FAILED'
  readonly source: CacheSource

  constructor(source: CacheSource, place: string, cause: unknown) {
    super(`cannot use the cache "${place}": ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    this.source = source
  }
}
