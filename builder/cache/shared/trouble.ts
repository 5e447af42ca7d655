import { Canceled, TsbuildError } from '../../../core/errors.ts'

/** Trouble with a cache's place, of a registry, a disk or what lies there: neither a bug of ours nor the wish to stop. */
export function isTrouble(error: unknown): error is Error {
  if (error instanceof Canceled) return false
  return error instanceof TsbuildError || (error instanceof Error && 'syscall' in error)
}
