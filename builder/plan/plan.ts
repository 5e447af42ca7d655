import type { Place } from '../dockerfile/errors.ts'
import type { StepPolicy } from '../dockerfile/step-policy.ts'
import type { Chmod } from '../dockerfile/values/chmod.ts'
import type { Chown } from '../dockerfile/values/chown.ts'
import type { RunDevice } from '../dockerfile/values/run-device.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { DiffId } from '../../oci/digest.ts'
import { sha256 } from '../../oci/digest.ts'
import type { HistoryEntry, RunConfig } from '../../oci/image-config.ts'
import type { Platform } from '../../oci/platform.ts'

declare const nodeIdBrand: unique symbol
/** Digest of a node's definition and the ids of its inputs: equal work has equal ids. */
export type NodeId = string & { readonly [nodeIdBrand]: true }

/**
 * One step that makes a root filesystem. Only what decides the result is in a node; limits, labels for the screen and
 * the like travel beside it. `base` is the filesystem it starts from, undefined for the empty one.
 */
export type PlanNode = SourceNode | MkdirNode | CopyNode | RunNode | HttpNode | GitNode

/** The layers of an image that exists already. */
export interface SourceNode {
  readonly kind: 'source'
  readonly diffIds: readonly DiffId[]
  /** Whose layers they are, for whoever has to fetch them; equal layers are equal work whatever they are called. */
  readonly image: string
}

/** WORKDIR: makes a directory with the owner `user`. */
export interface MkdirNode {
  readonly kind: 'mkdir'
  readonly base: NodeId | undefined
  readonly path: string
  readonly user: string
}

/** A tree of one file, downloaded. */
export interface HttpNode {
  readonly kind: 'http'
  /** Without what could log in. */
  readonly url: string
  readonly fileName: string
  readonly digest: { readonly algorithm: 'sha256' | 'sha384' | 'sha512'; readonly hex: string } | undefined
}

/** A tree of files, checked out. */
export interface GitNode {
  readonly kind: 'git'
  readonly remote: string
  /** A branch, a tag or a commit; undefined is the remote's HEAD. */
  readonly ref: string | undefined
  /** Relative; empty is the whole. */
  readonly subdirectory: string
  readonly keepsGitDirectory: boolean
  readonly hasSubmodules: boolean
  /** What it has to be. */
  readonly commit: string | undefined
}

/** COPY and ADD. */
export interface CopyNode {
  readonly kind: 'copy'
  readonly base: NodeId | undefined
  readonly from: CopyOrigin
  readonly sources: readonly CopyNodeSource[]
  /** Absolute; a trailing slash says that it is a directory. */
  readonly destination: string
  readonly chown: Chown | undefined
  readonly chmod: Chmod | undefined
  /** Patterns of what is left out, relative to each source. */
  readonly excludes: readonly string[]
  /** Keeps the directories on the way to what the sources name. */
  readonly keepsParents: boolean
  /** Onto nothing: what the base has at the destination is neither followed nor kept. */
  readonly isLink: boolean
  /** Which sources are unpacked when they are archives. */
  readonly unpacks: { readonly local: boolean; readonly remote: boolean }
}

export type CopyOrigin =
  /** The build context, or a folder of --build-context. */
  | { readonly kind: 'context'; readonly name?: string }
  | { readonly kind: 'node'; readonly node: NodeId | undefined }

export type CopyNodeSource =
  /** A path or pattern inside the origin. */
  | { readonly kind: 'path'; readonly pattern: string }
  /** What a download or a checkout holds. */
  | { readonly kind: 'remote'; readonly node: NodeId; readonly isFile: boolean }
  /** A heredoc: a file with this name and content. */
  | { readonly kind: 'inline'; readonly name: string; readonly content: string }

export interface RunNode {
  readonly kind: 'run'
  readonly base: NodeId | undefined
  readonly args: readonly string[]
  /** `NAME=value`, sorted as they were defined, ARGs included. */
  readonly env: readonly string[]
  readonly cwd: string
  /** As USER wrote it; resolved in the image's own files when the step runs. */
  readonly user: string
  /** A heredoc with an interpreter line, put where args point. */
  readonly script: { readonly path: string; readonly content: string } | undefined
  readonly network: 'default' | 'none' | 'host'
  readonly isInsecure: boolean
  /** `linux/arm64`: whose programs it runs. */
  readonly platform: string
  readonly mounts: readonly PlannedMount[]
  readonly devices: readonly RunDevice[]
}

/** A RUN --mount; targets are absolute and clean. */
export type PlannedMount =
  | PlannedBindMount
  | PlannedCacheMount
  | { readonly type: 'tmpfs'; readonly target: string; readonly sizeBytes: number | undefined; readonly isReadOnly: boolean }
  | PlannedSecretMount
  | PlannedSshMount

export interface PlannedBindMount {
  readonly type: 'bind'
  readonly target: string
  readonly from: CopyOrigin
  /** A path inside the origin. */
  readonly source: string
  readonly isReadOnly: boolean
}

export interface PlannedCacheMount {
  readonly type: 'cache'
  readonly target: string
  /** After the namespace of the build. */
  readonly id: string
  /** What it begins with: the directory `source` of it. */
  readonly from: CopyOrigin | undefined
  readonly source: string
  readonly sharing: 'shared' | 'private' | 'locked'
  readonly isReadOnly: boolean
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Whether it is said whose it is. A new one that is not belongs to the user of the step. */
  readonly isOwned: boolean
}

/** A file, an environment variable, or both. */
export interface PlannedSecretMount {
  readonly type: 'secret'
  readonly id: string
  readonly target: string | undefined
  readonly env: string | undefined
  readonly isRequired: boolean
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

export interface PlannedSshMount {
  readonly type: 'ssh'
  readonly id: string
  readonly target: string
  readonly isRequired: boolean
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/** What a step is called on the screen and in errors. */
export interface StepLabel {
  /** `stage-1` where FROM names none; in a build for several platforms behind the one it is for, `linux/arm64 stage-1`. */
  readonly stage: string
  /** Counted from 1 within the stage, of `steps`. */
  readonly step: number
  readonly steps: number
  /** The instruction on one line. */
  readonly source: string
  readonly place: Place
}

/** An instruction's place in the history of the image. */
export interface PlannedHistory {
  readonly createdBy: string
  readonly comment: string | undefined
  /** The step whose layer it is; undefined for an instruction that only changes the config. */
  readonly node: NodeId | undefined
}

/** The image a stage describes, complete but for the layers that its steps will have made. */
export interface PlannedImage {
  readonly rootfs: NodeId | undefined
  readonly platform: Platform
  readonly author: string | undefined
  readonly config: RunConfig
  readonly base: PlannedBase | undefined
  readonly history: readonly PlannedHistory[]
}

/** The image a stage started from. */
export interface PlannedBase {
  readonly name: string
  readonly diffIds: readonly DiffId[]
  readonly layers: readonly Descriptor[]
  readonly history: readonly HistoryEntry[]
  readonly created: string | undefined
}

export interface BuildPlan {
  /** Inputs before what uses them. */
  readonly nodes: ReadonlyMap<NodeId, PlanNode>
  readonly labels: ReadonlyMap<NodeId, StepLabel>
  /** What comments ask for beside a step; nothing for most. */
  readonly policies: ReadonlyMap<NodeId, StepPolicy>
  /** Of RUN steps, the variables that an ARG set: for people, as a step does not depend on who set them. */
  readonly variablesOfArgs: ReadonlyMap<NodeId, ReadonlySet<string>>
  /** One image for each platform asked for. */
  readonly targets: readonly [PlannedImage, ...PlannedImage[]]
}

/** Whether a step belongs to the stage of this name, for whatever platform. Stages have no blanks in their names. */
export function isOfStage({ stage }: StepLabel, name: string): boolean {
  return stage.slice(stage.indexOf(' ') + 1).toLowerCase() === name.toLowerCase()
}

/** The nodes whose results a node needs. */
export function nodeInputs(node: PlanNode): NodeId[] {
  const inputs: (NodeId | undefined)[] = []
  if ('base' in node) inputs.push(node.base)
  if (node.kind === 'copy' && node.from.kind === 'node') inputs.push(node.from.node)
  if (node.kind === 'copy') inputs.push(...node.sources.flatMap((source) => source.kind === 'remote' ? source.node : []))
  if (node.kind === 'run') inputs.push(...node.mounts.flatMap((mount) => 'from' in mount && mount.from?.kind === 'node' ? mount.from.node : []))
  return inputs.filter((input) => input !== undefined)
}

export function nodeId(node: PlanNode): NodeId {
  return sha256(JSON.stringify(node)) as string as NodeId
}
