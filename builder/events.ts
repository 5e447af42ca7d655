import type { Digest } from '../oci/digest.ts'
import type { TransferEvent } from '../registry-client/index.ts'
import type { UsageReport, UsageSampled } from '../runtime/index.ts'
import type { MissCause } from './cache/miss-explainer.ts'
import type { SourceRange } from './dockerfile/instruction.ts'
import type { NodeId, StepLabel } from './plan/plan.ts'

/** What a build tells while it works. Times are milliseconds since the epoch, sizes bytes. */
export type BuildEvent =
  | { readonly type: 'build-planned'; readonly steps: readonly PlannedStep[] }
  | { readonly type: 'node-started'; readonly node: NodeId; readonly atMs: number }
  | { readonly type: 'node-output'; readonly node: NodeId; readonly stream: 'stdout' | 'stderr'; readonly bytes: Uint8Array; readonly atMs: number }
  | UsageSampled & { readonly node: NodeId }
  | NodeFinished
  | { readonly type: 'cache-missed'; readonly node: NodeId; readonly cause: MissCause }
  /** A step's layer, found in the cache, was made on one base and lies on another now: COPY --link. `nothing` is scratch. */
  | { readonly type: 'layer-rebased'; readonly node: NodeId; readonly before: string; readonly after: string }
  | { readonly type: 'image-resolving'; readonly name: string; readonly atMs: number }
  | { readonly type: 'image-resolved'; readonly name: string; readonly digest: Digest; readonly atMs: number }
  | { readonly type: 'image-exported'; readonly id: Digest; readonly names: readonly string[]; readonly atMs: number }
  | { readonly type: 'warning-raised'; readonly rule: string; readonly message: string; readonly range: SourceRange | undefined }
  | TransferEvent
  | BuildFinished

export interface PlannedStep {
  readonly node: NodeId
  readonly label: StepLabel
}

export interface NodeFinished {
  readonly type: 'node-finished'
  readonly node: NodeId
  readonly outcome: 'cached' | 'executed' | 'failed' | 'canceled'
  readonly atMs: number
  readonly usage: UsageReport | undefined
}

/** The last event of a build that got as far as reading its Dockerfile. */
export interface BuildFinished {
  readonly type: 'build-finished'
  /** By which the build's record is found. */
  readonly build: string
  readonly outcome: 'succeeded' | 'failed' | 'canceled'
  readonly atMs: number
  /** Of a build that succeeded. */
  readonly image: FinishedImage | undefined
  /** Of one that did not. */
  readonly error: FinishedError | undefined
}

export interface FinishedImage {
  readonly id: Digest
  readonly names: readonly string[]
  /** Oldest first; steps that made no layer are left out. */
  readonly layers: readonly FinishedLayer[]
}

export interface FinishedLayer {
  readonly createdBy: string
  readonly diffId: string
  readonly sizeBytes: number
  readonly inodes: number
}

export interface FinishedError {
  readonly code: string
  readonly message: string
  /** The step that failed. */
  readonly step: StepLabel | undefined
}
