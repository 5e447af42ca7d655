import { TsbuildError } from '../../core/errors.ts'

/** No detached container of this root has this name or id. */
export class ContainerNotFound extends TsbuildError {
  readonly code = 'RUNTIME_CONTAINER_NOT_FOUND'
  readonly container: string

  constructor(container: string, isAmbiguous: boolean) {
    super(isAmbiguous ? `cannot find container "${container}": several ids begin so` : `cannot find container "${container}": no detached container is called so`)
    this.container = container
  }
}

/** The container has ended, or has not begun. */
export class ContainerNotRunning extends TsbuildError {
  readonly code = 'RUNTIME_CONTAINER_NOT_RUNNING'
  readonly container: string

  constructor(container: string) {
    super(`cannot use container "${container}": it does not run`)
    this.container = container
  }
}

/** The container runs, so it cannot be forgotten. */
export class ContainerInUse extends TsbuildError {
  readonly code = 'RUNTIME_CONTAINER_IN_USE'
  readonly container: string

  constructor(container: string) {
    super(`cannot remove container "${container}": it runs; stop it first, or use --force`)
    this.container = container
  }
}

/** Another container has this name. */
export class NameInUse extends TsbuildError {
  readonly code = 'RUNTIME_NAME_IN_USE'
  readonly container: string

  constructor(name: string) {
    super(`cannot name container "${name}": another one is called so; remove it, or choose another name`)
    this.container = name
  }
}
