import { TsbuildError } from '../../core/errors.ts'

/** The build context lacks a file that COPY names, or .dockerignore hides it. */
export class CopySourceMissing extends TsbuildError {
  readonly code = 'BUILDER_COPY_SOURCE_MISSING'
  readonly source: string
  readonly origin: string
  readonly reason: 'isHidden' | { readonly meant: string } | undefined

  constructor(source: string, origin: string, reason: CopySourceMissing['reason']) {
    super(`cannot copy "${source}": ${reason === 'isHidden' ? `.dockerignore leaves it out of ${origin}` : `${origin} has no such file or directory${reason === undefined ? '' : `; did you mean "${reason.meant}"?`}`}`)
    this.source = source
    this.origin = origin
    this.reason = reason
  }
}

/** COPY would put a file where a directory is, or a directory where something else is. */
export class CopyConflict extends TsbuildError {
  readonly code = 'BUILDER_COPY_CONFLICT'
  readonly path: string

  constructor(path: string, wanted: string, found: string) {
    super(`cannot copy to "${path}": it is a ${found} in the image and would become a ${wanted}`)
    this.path = path
  }
}

/** The links in a COPY destination lead in a circle. */
export class DestinationLinkLoop extends TsbuildError {
  readonly code = 'BUILDER_DESTINATION_LINK_LOOP'
  readonly path: string

  constructor(path: string) {
    super(`cannot copy to "${path}": its links in the image lead in a circle`)
    this.path = path
  }
}
