import { TsbuildError } from '../../core/errors.ts'
import type { NotExecuted } from '../container-exit.ts'

/** No container of this state folder has this id. */
export class OciContainerNotFound extends TsbuildError {
  readonly code = 'RUNTIME_OCI_CONTAINER_NOT_FOUND'
  readonly container: string

  constructor(container: string) {
    super(`cannot find container "${container}": container does not exist`)
    this.container = container
  }
}

/** Another container has this id. */
export class OciContainerExists extends TsbuildError {
  readonly code = 'RUNTIME_OCI_CONTAINER_EXISTS'
  readonly container: string

  constructor(container: string) {
    super(`cannot create container "${container}": another one has this id; delete it first`)
    this.container = container
  }
}

/** The container is not in a status in which this can be done. */
export class OciContainerStatus extends TsbuildError {
  readonly code = 'RUNTIME_OCI_CONTAINER_STATUS'
  readonly container: string
  readonly status: string

  constructor(container: string, status: string, what: 'start' | 'kill' | 'delete' | 'exec') {
    super(`cannot ${what} container "${container}": it is ${status}${what === 'kill' ? ', container not running' : ''}`)
    this.container = container
    this.status = status
  }
}

/** The container was there, but its program could not be executed; now it has ended. */
export class ProgramNotExecuted extends TsbuildError {
  readonly code = 'RUNTIME_PROGRAM_NOT_EXECUTED'
  readonly container: string
  readonly notExecuted: NotExecuted

  constructor(container: string, notExecuted: NotExecuted) {
    const words = notExecuted.errnoName === 'ENOENT' ? 'no such file or directory' : notExecuted.reason === 'not-executable' ? 'permission denied' : notExecuted.reason
    super(`cannot execute "${notExecuted.file}" in container "${container}": ${words} (${notExecuted.errnoName})`)
    this.container = container
    this.notExecuted = notExecuted
  }
}

/** A hook of a bundle did not end with 0. */
export class OciHookFailed extends TsbuildError {
  readonly code = 'RUNTIME_OCI_HOOK_FAILED'
  readonly kind: string
  readonly path: string

  constructor({ kind, path }: { readonly kind: string; readonly path: string }, how: string, options?: ErrorOptions) {
    super(`cannot run ${kind} hook "${path}": ${how}`, options)
    this.kind = kind
    this.path = path
  }
}
