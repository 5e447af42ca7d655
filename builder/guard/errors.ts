import { TsbuildError } from '../../core/errors.ts'
import type { Leak } from './leak.ts'
import { formatLeak } from './leak.ts'

/** The value of a secret stands in something the build would keep. Nothing of it was stored. */
export class SecretLeaked extends TsbuildError {
  readonly code = 'BUILDER_SECRET_LEAKED'
  readonly leaks: readonly Leak[]

  constructor(leaks: readonly Leak[]) {
    super(`cannot keep the value of a secret: ${leaks.map(formatLeak).join('; ')}`)
    this.leaks = leaks
  }
}
