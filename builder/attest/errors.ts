import { TsbuildError } from '../../core/errors.ts'

/** A file holds no key that could sign attestations. */
export class AttestationKeyUnusable extends TsbuildError {
  readonly code = 'BUILDER_ATTESTATION_KEY_UNUSABLE'
  readonly path: string

  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`cannot sign attestations with "${path}": ${problem}`, options)
    this.path = path
  }
}
