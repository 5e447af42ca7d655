/**
 * What every exported asynchronous function gets last: when to stop and where to report.
 * `emit` is a property, so a task that takes more kinds of event fits a callee that emits fewer.
 */
export interface Task<E = never> {
  readonly signal: AbortSignal
  readonly emit: (event: E) => void
}

/** What a public entry point accepts; `createTask` turns it into a Task. */
export interface TaskOptions<E = never> {
  readonly signal?: AbortSignal | undefined
  readonly onEvent?: ((event: E) => void) | undefined
}

export function createTask<E>(options: TaskOptions<E> = {}): Task<E> {
  return {
    signal: options.signal ?? new AbortController().signal,
    emit: options.onEvent ?? (() => undefined),
  }
}

/** For callees that emit nothing, or nothing that anybody wants to hear. */
export function silent<E = never>(task: Task): Task<E> {
  return { signal: task.signal, emit: () => undefined }
}
