import { getSystemErrorMessage } from 'node:util'
import type { ErrnoError } from '../../core/errors.ts'
import { Canceled, TsbuildError } from '../../core/errors.ts'
import type { Place } from '../../builder/index.ts'
import { ChecksFailed, CommandFailed, DockerfileError, StepFailed } from '../../builder/index.ts'
import { StorageFull } from '../../storage/index.ts'
import { describeLimit, describeNotExecuted } from './exit-words.ts'
import type { ErrorCode } from './error-code.ts'
import { renderWarning } from './call.ts'
import { renderExcerpt } from './excerpt.ts'
import { formatBytes, printable } from './format.ts'

/** An error as a user gets to see it. */
export interface Problem {
  readonly lines: readonly string[]
  readonly exitCode: number
}

/**
 * Exit codes by what went wrong: 1 the input (Dockerfile, context, names), 2 the command line, 3 something asked for is
 * not there, 4 a registry or the way to it, 5 the store, 6 this host, 70 a bug of ours. A RUN step's own code, and
 * 128 + n for a signal, come before these.
 */
const classes: Readonly<Record<ErrorCode, ExitClass>> = {
  CLI_USAGE: 2, CLI_DETACHED_FAILED: 6, CLI_STOP_FAILED: 6,
  CORE_CANCELED: 1,
  OCI_MALFORMED_DIGEST: 1, OCI_DIGEST_MISMATCH: 4, OCI_MALFORMED_DOCUMENT: 1, OCI_UNSUPPORTED_MEDIA_TYPE: 1,
  NATIVE_HELPER_FAILURE: 6,
  STORAGE_BLOB_MISSING: 5, STORAGE_LAYER_MISSING: 5, STORAGE_LAYER_DAMAGED: 5, STORAGE_INDEX_DAMAGED: 5, STORAGE_FORMAT_UNAVAILABLE: 5, STORAGE_DRIVER_UNAVAILABLE: 5, STORAGE_DIFFID_MISMATCH: 4, STORAGE_HOSTILE_ARCHIVE: 1,
  STORAGE_UNREPRESENTABLE: 1, STORAGE_SOURCE_CHANGED: 1, STORAGE_TREE_FAILURE: 5, STORAGE_HELPER_DIED: 6, STORAGE_FULL: 5, STORAGE_INODES_UNCOUNTED: 2,
  STORAGE_MALFORMED_COMPRESSION: 1, STORAGE_GZIP_ENGINE_UNAVAILABLE: 6, STORAGE_STREAM_TOO_LARGE: 1, STORAGE_IMAGE_INCOMPLETE: 5, STORAGE_AMBIGUOUS_ID: 3, STORAGE_LINK_LOOP: 1,
  STORAGE_UNEXPECTED_ENTRY: 1, STORAGE_TOO_NEW: 5, STORAGE_NOT_OURS: 5, STORAGE_BUSY: 5, STORAGE_UNUSABLE: 5,
  RUNTIME_INVALID_SPEC: 1, RUNTIME_CONTAINER_SETUP_FAILED: 6, RUNTIME_CONTAINER_LOST: 6, RUNTIME_LIMIT_NOT_APPLICABLE: 6, RUNTIME_NETWORK_UNAVAILABLE: 6, RUNTIME_CONTAINER_NOT_FOUND: 3, RUNTIME_OCI_CONTAINER_NOT_FOUND: 3, RUNTIME_OCI_CONTAINER_EXISTS: 3, RUNTIME_OCI_CONTAINER_STATUS: 3, RUNTIME_OCI_HOOK_FAILED: 6, RUNTIME_PROGRAM_NOT_EXECUTED: 3, RUNTIME_CONTAINER_NOT_RUNNING: 3, RUNTIME_CONTAINER_IN_USE: 1, RUNTIME_NAME_IN_USE: 1, RUNTIME_USER_NAMESPACE_UNAVAILABLE: 6, RUNTIME_OCI_RUNTIME_MISSING: 6, RUNTIME_OCI_RUNTIME_FAILED: 6,
  REGISTRY_MALFORMED_REFERENCE: 1, REGISTRY_AMBIGUOUS_NAME: 1, REGISTRY_INVALID_CONFIGURATION: 1, REGISTRY_BLOCKED: 4, REGISTRY_CREDENTIAL_HELPER_FAILED: 4,
  REGISTRY_UNREACHABLE: 4, REGISTRY_ACCESS_DENIED: 4, REGISTRY_MANIFEST_UNKNOWN: 3, REGISTRY_BLOB_UNKNOWN: 4, REGISTRY_UNEXPECTED_STATUS: 4,
  REGISTRY_INVALID_ANSWER: 4, REGISTRY_FORBIDDEN_TARGET: 4, REGISTRY_WRONG_CONTENT: 4, REGISTRY_ALL_PLACES_FAILED: 4, REGISTRY_PLATFORM_UNAVAILABLE: 3,
  REGISTRY_SOURCE_MISMATCH: 5, REGISTRY_DELETION_REFUSED: 4,
  BUILDER_DOCKERFILE_INVALID: 1, BUILDER_MALFORMED_PATTERN: 1, BUILDER_STEP_FAILED: 1, BUILDER_COMMAND_FAILED: 1, BUILDER_COPY_SOURCE_MISSING: 1,
  BUILDER_COPY_CONFLICT: 1, BUILDER_DESTINATION_LINK_LOOP: 1, BUILDER_CONTEXT_UNREADABLE: 1, BUILDER_USER_UNKNOWN: 1, BUILDER_IMAGE_UNAVAILABLE: 3,
  BUILDER_NO_ROOM: 5, BUILDER_IMAGE_NOT_FOUND: 3, BUILDER_MALFORMED_LOCATION: 1, BUILDER_BUILD_NOT_FOUND: 3, BUILDER_BUILD_AMBIGUOUS: 3, BUILDER_IMAGE_IN_USE: 1, BUILDER_MALFORMED_ARCHIVE: 1, BUILDER_NO_COMMAND: 1,
  BUILDER_SECRET_UNAVAILABLE: 1, BUILDER_SECRET_LEAKED: 1, BUILDER_NOT_REPRODUCIBLE: 1, BUILDER_ATTESTATION_KEY_UNUSABLE: 1, BUILDER_LAYERS_GONE: 3, BUILDER_NOT_ENTITLED: 1,
  BUILDER_DOWNLOAD_FAILED: 4, BUILDER_WRONG_DOWNLOAD: 4, BUILDER_GIT_FAILED: 4, BUILDER_STEP_TIMED_OUT: 1,
  BUILDER_OUTPUT_CONFLICT: 1, BUILDER_UNSUITABLE_REQUEST: 1, BUILDER_CACHE_MISSING: 3, BUILDER_CACHE_MOUNT_UNSUITABLE: 3, BUILDER_CACHE_SOURCE_FAILED: 4, BUILDER_RESULT_NOT_KEPT: 4,
  BUILDER_CHECKS_FAILED: 1, BUILDER_DEVICE_UNSUITABLE: 6, BUILDER_PLATFORM_NOT_RUNNABLE: 6,
}

type ExitClass = 1 | 2 | 3 | 4 | 5 | 6
const bugExitCode = 70
const signalExitCodes: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129, timeout: 124 }

export function renderProblem(error: unknown): Problem {
  if (error instanceof SuppressedError) return renderDisposal(error)
  if (error instanceof Canceled) return { lines: [`canceled by ${error.reason}`], exitCode: signalExitCodes[error.reason] ?? 1 }
  if (!(error instanceof TsbuildError)) return renderForeign(error)
  const innermost = innermostError(error)
  return { lines: [`error: ${printable(error.message)}`, ...details(error)], exitCode: exitCode(innermost) }
}

/** What went wrong comes before what then went wrong with cleaning up after it: the other way round from how they are nested. */
function renderDisposal({ suppressed, error }: SuppressedError): Problem {
  const { lines, exitCode: code } = renderProblem(suppressed)
  return { lines: [...lines, ...afterwards(error)], exitCode: code }
}

function afterwards(error: unknown): string[] {
  return [`and then, cleaning up: ${printable(error instanceof Error ? error.message : String(error))}`]
}

/** A file that cannot be opened is the user's business; anything else that is not ours is a bug, and a report needs its stack. */
function renderForeign(error: unknown): Problem {
  if (error instanceof Error && 'syscall' in error) return { lines: [`error: ${printable(describeRefusal(error))}`], exitCode: 1 }
  const stack = error instanceof Error ? error.stack ?? error.message : String(error)
  return { lines: [`error: this is a bug in tsbuild, please report it: ${stack}`], exitCode: bugExitCode }
}

function describeRefusal(error: Error): string {
  const { code, errno, path, syscall }: Partial<ErrnoError> = error
  if (code === undefined || errno === undefined || path === undefined) return error.message
  return `cannot ${syscall === 'open' ? 'open' : 'use'} "${path}": ${getSystemErrorMessage(errno)} (${code})`
}

function exitCode(error: TsbuildError): number {
  if (error instanceof CommandFailed) return error.exitCode
  return isKnown(error.code) ? classes[error.code] : bugExitCode
}

function isKnown(code: string): code is ErrorCode {
  return Object.hasOwn(classes, code)
}

/** The reason behind wrapping errors that only say where. */
function innermostError(error: TsbuildError): TsbuildError {
  const cause = error.cause instanceof SuppressedError ? firstError(error.cause) : error.cause
  return error instanceof StepFailed && cause instanceof TsbuildError ? innermostError(cause) : error
}

function firstError({ suppressed }: SuppressedError): unknown {
  return suppressed instanceof SuppressedError ? firstError(suppressed) : suppressed
}

function details(error: TsbuildError): string[] {
  const lines: string[] = []
  const place = placeOf(error)
  if (place !== undefined) lines.push(...renderExcerpt(place))
  if (error instanceof DockerfileError && error.remedy !== undefined) lines.push(`hint: ${printable(error.remedy)}`)
  if (error instanceof StepFailed && error.nearestStage !== undefined) lines.push(hintOfStage(error.label.stage, error.nearestStage))
  if (error instanceof CommandFailed) lines.push(...commandDetails(error))
  if (error instanceof ChecksFailed) lines.push(...error.warnings.flatMap((warning) => renderWarning(warning, error.source)))
  if (error instanceof StorageFull) lines.push(`hint: "tsbuild df" shows who holds the ${error.resource}; "tsbuild gc --min-free-${error.resource} 10%" removes what was not used for longest`)
  lines.push(...causes(error.cause))
  return lines
}

/** A name means a stage only below that stage, so that none can be built on itself, straight or in a circle. */
function hintOfStage(name: string, stage: string): string {
  return name.toLowerCase() === stage.toLowerCase() ? `hint: the stage "${printable(stage)}" is not above this line, so the name means an image` : `hint: did you mean the stage "${printable(stage)}"?`
}

function placeOf(error: TsbuildError): Place | undefined {
  if (error instanceof StepFailed) return error.label.place
  return error instanceof DockerfileError ? error : undefined
}

function commandDetails({ limit, notExecuted, usage }: CommandFailed): string[] {
  return [
    ...(limit === undefined ? [] : [`because: ${describeLimit(limit)}`]),
    ...(notExecuted === undefined ? [] : [`because: ${describeNotExecuted(notExecuted)}`]),
    ...(limit === undefined && usage.oomKills !== undefined && usage.oomKills > 0 ? [`because: the kernel killed ${usage.oomKills} of its processes for want of memory${usage.memoryPeakBytes === undefined ? '' : `, peak ${formatBytes(usage.memoryPeakBytes)}`}`] : []),
  ]
}

/** Each reason behind the message once, the outermost first. */
function causes(cause: unknown): string[] {
  if (cause instanceof SuppressedError) return [...causes(cause.suppressed), ...afterwards(cause.error)]
  if (cause instanceof AggregateError) return cause.errors.flatMap((each: unknown) => causes(each))
  if (cause instanceof TsbuildError) return [`because: ${printable(cause.message)}`, ...details(cause)]
  if (cause instanceof Error) return [`because: ${printable(cause.message)}`]
  return []
}
