import type { Task } from '../../core/task.ts'
import type { BuildEvent } from '../events.ts'
import { maskText } from './log-mask.ts'
import type { SecretPattern } from './secret-patterns.ts'

/** The same task, whose events' texts show `***` where a secret's value was. The logs of steps come masked already. */
export function guardedTask(task: Task<BuildEvent>, patterns: readonly SecretPattern[]): Task<BuildEvent> {
  return patterns.length === 0 ? task : { signal: task.signal, emit: (event) => { task.emit(maskEvent(event, patterns)) } }
}

function maskEvent(event: BuildEvent, patterns: readonly SecretPattern[]): BuildEvent {
  switch (event.type) {
    case 'warning-raised': return { ...event, message: maskText(event.message, patterns) }
    case 'build-finished': return event.error === undefined ? event : { ...event, error: { ...event.error, message: maskText(event.error.message, patterns) } }
    default: return event
  }
}
