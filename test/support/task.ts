/** Tasks and failures, as tests look at them. */
import type { Task } from '../../core/task.ts'
import type { TransferEvent } from '../../registry-client/client.ts'

/** A task that keeps the events. */
export function recordingTask(signal: AbortSignal = new AbortController().signal): Task<TransferEvent> & { readonly events: TransferEvent[] } {
  const events: TransferEvent[] = []
  return { signal, events, emit: (event) => { events.push(event) } }
}

/** What a promise was rejected with. */
export async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work
  } catch (error) {
    return error
  }
  throw new Error('it succeeded')
}
