import type { Task } from '../../core/task.ts'
import type { BuildEvent } from '../events.ts'
import { LogMask, maskText } from './log-mask.ts'
import type { SecretPattern } from './secret-patterns.ts'

type Output = Extract<BuildEvent, { type: 'node-output' }>

/** The same task, whose events show `***` where a secret's value was; that a step wrote one is a warning of its own. */
export function guardedTask(task: Task<BuildEvent>, patterns: readonly SecretPattern[]): Task<BuildEvent> {
  if (patterns.length === 0) return task
  const masks = new Map<string, { readonly log: LogMask; last: Output }>()
  const emitOutput = (event: Output, bytes: Uint8Array): void => { if (bytes.length > 0) task.emit({ ...event, bytes }) }
  const output = (event: Output): void => {
    const key = `${event.node} ${event.stream}`
    const known = masks.get(key) ?? { log: new LogMask(patterns), last: event }
    masks.set(key, known)
    known.last = event
    emitOutput(event, known.log.add(event.bytes))
  }
  const end = (node: string): void => {
    const seen = new Set<string>()
    for (const [key, { log, last }] of [...masks].filter(([, mask]) => mask.last.node === node)) {
      masks.delete(key)
      emitOutput(last, log.end())
      for (const secret of log.seen) seen.add(secret)
    }
    for (const secret of seen) task.emit({ type: 'warning-raised', rule: 'SecretInLog', message: `a step wrote the value of secret "${secret}" to its log, where *** stands for it`, range: undefined })
  }
  return {
    signal: task.signal,
    emit: (event) => {
      if (event.type === 'node-output') return output(event)
      if (event.type === 'node-finished') end(event.node)
      task.emit(maskEvent(event, patterns))
    },
  }
}

function maskEvent(event: BuildEvent, patterns: readonly SecretPattern[]): BuildEvent {
  switch (event.type) {
    case 'warning-raised': return { ...event, message: maskText(event.message, patterns) }
    case 'build-finished': return event.error === undefined ? event : { ...event, error: { ...event.error, message: maskText(event.error.message, patterns) } }
    default: return event
  }
}
