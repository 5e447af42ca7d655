import { TsbuildError } from '../core/errors.ts'

/** A ContainerSpec contradicts itself or holds a value that cannot be. Nothing was started. */
export class InvalidSpec extends TsbuildError {
  readonly code = 'RUNTIME_INVALID_SPEC'
  /** Path of the field: `process.cwd`, `mounts[2].target`. */
  readonly field: string
  readonly wanted: string

  constructor(field: string, actual: unknown, wanted: string) {
    super(`cannot use container spec: ${field} is ${actual === undefined ? 'missing' : JSON.stringify(actual)}, wanted ${wanted}`)
    this.field = field
    this.wanted = wanted
  }
}

/** What the container's process was being given when setting it up failed; the words are for people. */
export type SetupStage =
  | 'request' | 'namespaces' | 'layers' | 'mount points' | 'root filesystem' | 'mount' | 'masked path' | 'kernel setting'
  | 'network' | 'host name' | 'terminal' | 'cgroup' | 'standard streams' | 'process limits' | 'working directory'
  | 'capabilities' | 'user' | 'seccomp filter' | 'init process' | 'security label' | 'id mapping'

/** The container could not be made; the command did not run and nothing is left. `cause` is what the helper reported. */
export class ContainerSetupFailed extends TsbuildError {
  readonly code = 'RUNTIME_CONTAINER_SETUP_FAILED'
  readonly containerId: string
  readonly stage: SetupStage
  readonly errnoName: string
  /** What the stage was about: a path, a name. */
  readonly object: string

  constructor(containerId: string, failure: { readonly stage: SetupStage; readonly errnoName: string; readonly object: string }, options?: ErrorOptions) {
    super(`cannot set up container "${containerId}": ${failure.stage} ${JSON.stringify(failure.object)} failed with ${failure.errnoName}`, options)
    this.containerId = containerId
    this.stage = failure.stage
    this.errnoName = failure.errnoName
    this.object = failure.object
  }
}

/** The container was killed from outside: not by its own process, a limit, a timeout or the caller. What it wrote is not to be used. */
export class ContainerLost extends TsbuildError {
  readonly code = 'RUNTIME_CONTAINER_LOST'
  readonly containerId: string
  readonly signal: NodeJS.Signals | undefined

  constructor(containerId: string, signal: NodeJS.Signals | undefined) {
    super(`cannot finish container "${containerId}": its init was killed${signal === undefined ? '' : ` by ${signal}`}, wanted it to end with its process`)
    this.containerId = containerId
    this.signal = signal
  }
}

/** By the names of version 2; `io` is blkio in version 1, and `devices` is a program there and a list here. */
export type CgroupController = 'memory' | 'pids' | 'cpu' | 'cpuset' | 'io' | 'hugetlb' | 'devices'

/** A limit was asked for that this host cannot enforce. Nothing was started. */
export class LimitNotApplicable extends TsbuildError {
  readonly code = 'RUNTIME_LIMIT_NOT_APPLICABLE'
  readonly controller: CgroupController
  readonly reason: string

  constructor(controller: CgroupController, reason: string, options?: ErrorOptions) {
    super(`cannot apply ${controller} limit: ${reason}`, options)
    this.controller = controller
    this.reason = reason
  }
}

/** A user namespace is needed, because we are not root or it was asked for, and cannot be had. Nothing was started. */
export class UserNamespaceUnavailable extends TsbuildError {
  readonly code = 'RUNTIME_USER_NAMESPACE_UNAVAILABLE'
  readonly reason: string
  readonly remedy: string

  constructor(reason: string, remedy: string, options?: ErrorOptions) {
    super(`cannot make a user namespace: ${reason}; ${remedy}`, options)
    this.reason = reason
    this.remedy = remedy
  }
}

/** A network was asked for that this host cannot give. Nothing was started. */
export class NetworkUnavailable extends TsbuildError {
  readonly code = 'RUNTIME_NETWORK_UNAVAILABLE'
  readonly mode: string
  readonly reason: string

  constructor(mode: string, reason: string, options?: ErrorOptions) {
    super(`cannot use network "${mode}": ${reason}`, options)
    this.mode = mode
    this.reason = reason
  }
}

/** The runtime asked for is not there. */
export class OciRuntimeMissing extends TsbuildError {
  readonly code = 'RUNTIME_OCI_RUNTIME_MISSING'
  readonly runtime: string

  constructor(runtime: string) {
    super(`cannot find runtime "${runtime}": no such program in PATH; install it, or use the built-in one`)
    this.runtime = runtime
  }
}

/** Another runtime could not make the container or start its command; the words are that runtime's. */
export class OciRuntimeFailed extends TsbuildError {
  readonly code = 'RUNTIME_OCI_RUNTIME_FAILED'
  readonly runtime: string
  readonly reason: string

  constructor(runtime: string, reason: string) {
    super(`cannot run container with "${runtime}": ${reason}`)
    this.runtime = runtime
    this.reason = reason
  }
}
