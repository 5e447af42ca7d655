import { TsbuildError } from '../../core/errors.ts'

/** The tree lacks a file that COPY names, or an ignore file hides it. */
export class CopySourceMissing extends TsbuildError {
  readonly code = 'BUILDER_COPY_SOURCE_MISSING'
  readonly source: string
  readonly origin: string
  readonly reason: { readonly hiddenBy: string } | { readonly meant: string } | undefined

  constructor(source: string, origin: string, reason: CopySourceMissing['reason']) {
    const hint = reason !== undefined && 'meant' in reason ? `; did you mean "${reason.meant}"?` : ''
    super(`cannot copy "${source}": ${reason !== undefined && 'hiddenBy' in reason ? `${reason.hiddenBy} leaves it out of ${origin}` : `${origin} has no such file or directory${hint}`}`)
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
