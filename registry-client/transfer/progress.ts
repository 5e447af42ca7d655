import type { Descriptor } from '../../oci/descriptor.ts'
import type { TransferEvent } from '../client.ts'

/** Reports how far a blob has come, often enough to watch and seldom enough to cost nothing. */
export interface Progress {
  advanced(doneBytes: number): void
  finished(outcome: 'transferred' | 'present' | 'mounted'): void
}

const intervalMs = 100

export function createProgress(direction: 'pull' | 'push', { digest, size }: Descriptor, emit: (event: TransferEvent) => void): Progress {
  const shared = { type: 'transfer-progressed', direction, digest, totalBytes: size } as const
  let nextMs = 0
  return {
    advanced: (doneBytes) => {
      const nowMs = performance.now()
      if (nowMs < nextMs) return
      nextMs = nowMs + intervalMs
      emit({ ...shared, doneBytes, outcome: 'running' })
    },
    finished: (outcome) => { emit({ ...shared, doneBytes: size, outcome }) },
  }
}
