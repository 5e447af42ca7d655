import { TsbuildError } from '../../core/errors.ts'
import type { Difference } from './difference.ts'

/** Two builds of the same made two images. */
export class NotReproducible extends TsbuildError {
  readonly code = 'BUILDER_NOT_REPRODUCIBLE'
  readonly difference: Difference

  constructor(difference: Difference) {
    const { layer, step, path, field, first, second } = difference
    super(`cannot reproduce the image: ${layer === undefined ? '' : `layer ${layer} (${step.slice(0, 200)}), `}${path}: ${field} is ${first} in one build and ${second} in the other${field === 'mtime' || field === 'created' || field === 'history' ? '; --source-date-epoch makes times the same' : ''}`)
    this.difference = difference
  }
}
