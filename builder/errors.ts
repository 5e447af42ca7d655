import { TsbuildError } from '../core/errors.ts'
import type { ContainerExit, LimitCause, NotExecuted, UsageReport } from '../runtime/index.ts'
import type { DockerfileSource } from './dockerfile/instruction.ts'
import type { Warning } from './dockerfile/lint/warning.ts'
import type { StepLabel } from './plan/plan.ts'

/** A step failed for the reason in `cause`; this says which one. */
export class StepFailed extends TsbuildError {
  readonly code = 'BUILDER_STEP_FAILED'
  readonly label: StepLabel
  /** The stage that may have been meant by the name of an image that cannot be had. */
  readonly nearestStage: string | undefined

  constructor(label: StepLabel, cause: unknown, nearestStage?: string) {
    super(`cannot build ${label.stage}, step ${label.step}/${label.steps}: ${label.source}`, { cause })
    this.label = label
    this.nearestStage = nearestStage
  }
}

/** What RUN started did not end with exit code 0. */
export class CommandFailed extends TsbuildError {
  readonly code = 'BUILDER_COMMAND_FAILED'
  readonly args: readonly string[]
  /** That of the command, 128 + n for signal n. */
  readonly exitCode: number
  /** Set when a limit was the reason, whatever the exit code says. */
  readonly limit: LimitCause | undefined
  /** Set when it could not even be started. */
  readonly notExecuted: NotExecuted | undefined
  readonly usage: UsageReport

  constructor(args: readonly string[], exit: ContainerExit) {
    super(`command ${JSON.stringify(args.join(' ').slice(0, 200))} ended with exit code ${exit.exitCode}`)
    this.args = args
    this.exitCode = exit.exitCode
    this.limit = exit.cause
    this.notExecuted = exit.notExecuted
    this.usage = exit.usage
  }
}

/** USER, --user or --chown names nobody the image knows. */
export class UserUnknown extends TsbuildError {
  readonly code = 'BUILDER_USER_UNKNOWN'
  readonly user: string

  constructor(user: string, problem: string) {
    super(`cannot resolve user ${JSON.stringify(user.slice(0, 100))}: ${problem}`)
    this.user = user
  }
}

/** A step that fetches something took longer than its policy allows. */
export class StepTimedOut extends TsbuildError {
  readonly code = 'BUILDER_STEP_TIMED_OUT'
  readonly timeoutMs: number

  constructor(timeoutMs: number, options?: ErrorOptions) {
    super(`cannot finish step: it took longer than the ${timeoutMs / 1000} s it has`, options)
    this.timeoutMs = timeoutMs
  }
}

/** Checks found what the Dockerfile, or the build, wants to be an error. */
export class ChecksFailed extends TsbuildError {
  readonly code = 'BUILDER_CHECKS_FAILED'
  readonly source: DockerfileSource
  readonly warnings: readonly Warning[]

  constructor(source: DockerfileSource, warnings: readonly Warning[]) {
    super(`cannot build "${source.name}": ${warnings.length} of its checks failed`)
    this.source = source
    this.warnings = warnings
  }
}

/** A step runs programs of another platform, and nothing here can. */
export class PlatformNotRunnable extends TsbuildError {
  readonly code = 'BUILDER_PLATFORM_NOT_RUNNABLE'
  readonly platform: string

  constructor(platform: string, host: string, options?: ErrorOptions) {
    super(`cannot run a step for ${platform} on ${host}: the kernel knows no interpreter for its programs; install qemu-user-static and binfmt-support, or register one in /proc/sys/fs/binfmt_misc with the flag F`, options)
    this.platform = platform
  }
}

/** A RUN step asks for more than an ordinary step may, and the build does not allow it. */
export class NotEntitled extends TsbuildError {
  readonly code = 'BUILDER_NOT_ENTITLED'
  readonly entitlement: Entitlement

  constructor(entitlement: Entitlement) {
    super(`cannot run step: it needs "${entitlement}", which this build does not allow; add --allow ${entitlement}`)
    this.entitlement = entitlement
  }
}

/** With `device` goes any device, or behind `=` its name, or its kind. */
export type Entitlement = 'network.host' | 'security.insecure' | 'device' | `device=${string}`

/** FROM or --from names an image that neither the store nor a registry gave. */
export class ImageUnavailable extends TsbuildError {
  readonly code = 'BUILDER_IMAGE_UNAVAILABLE'
  readonly image: string

  constructor(image: string, problem: string, options?: ErrorOptions) {
    super(`cannot use image "${image}": ${problem}`, options)
    this.image = image
  }
}

/** What says where an image lies names no place we know. */
export class MalformedLocation extends TsbuildError {
  readonly code = 'BUILDER_MALFORMED_LOCATION'
  readonly text: string

  constructor(text: string, problem: string) {
    super(`cannot read location ${JSON.stringify(text.slice(0, 200))}: ${problem}`)
    this.text = text
  }
}

/** No image of the store has this name or id. */
export class ImageNotFound extends TsbuildError {
  readonly code = 'BUILDER_IMAGE_NOT_FOUND'
  readonly image: string
  readonly suggestion: string | undefined

  constructor(image: string, suggestion: string | undefined) {
    super(`cannot find image "${image}" in the store${suggestion === undefined ? '' : `; did you mean "${suggestion}"?`}`)
    this.image = image
    this.suggestion = suggestion
  }
}

/** An image given by id has several names, and it was not said which to take away. */
export class ImageInUse extends TsbuildError {
  readonly code = 'BUILDER_IMAGE_IN_USE'
  readonly image: string
  readonly names: readonly string[]

  constructor(image: string, names: readonly string[]) {
    super(`cannot remove image "${image}": it has ${names.length} names, ${names.join(', ')}`)
    this.image = image
    this.names = names
  }
}

/** Neither the image nor the caller says what to run. */
export class NoCommand extends TsbuildError {
  readonly code = 'BUILDER_NO_COMMAND'

  constructor(image: string) {
    super(`cannot run image "${image}": it has neither ENTRYPOINT nor CMD, and no command was given`)
  }
}

/** The layers a failed step was kept by have been removed. */
export class LayersGone extends TsbuildError {
  readonly code = 'BUILDER_LAYERS_GONE'
  readonly build: string

  constructor(build: string) {
    super(`cannot debug build "${build}": the store has removed the layers of its failed step`)
    this.build = build
  }
}

/** An output cannot be written where it was asked for. What is there is as it was. */
export class OutputConflict extends TsbuildError {
  readonly code = 'BUILDER_OUTPUT_CONFLICT'
  readonly path: string

  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`cannot write "${path}": ${problem}`, options)
    this.path = path
  }
}

/** The layers still to be fetched are larger than what is free; nothing of them was fetched. */
export class NoRoom extends TsbuildError {
  readonly code = 'BUILDER_NO_ROOM'
  readonly root: string
  readonly neededBytes: number
  readonly freeBytes: number

  constructor(root: string, { neededBytes, freeBytes }: { readonly neededBytes: number; readonly freeBytes: number }) {
    super(`cannot fetch layers into "${root}": they have ${neededBytes} bytes even compressed and ${freeBytes} are free; tsbuild prune makes room, TSBUILD_ROOT names another place`)
    this.root = root
    this.neededBytes = neededBytes
    this.freeBytes = freeBytes
  }
}

/** What is asked for cannot be had together. */
export class UnsuitableRequest extends TsbuildError {
  readonly code = 'BUILDER_UNSUITABLE_REQUEST'

  constructor(problem: string) {
    super(`cannot do what is asked for: ${problem}`)
  }
}
