import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import type { ChainId, DiffId } from '../../oci/digest.ts'
import type { ContainerSpec, Mount } from '../../runtime/index.ts'
import { BuildNotFound } from '../record/errors.ts'
import type { RunNode } from '../plan/plan.ts'
import { buildFolder } from '../record/build-record.ts'
import type { WireLabel } from '../record/wire-event.ts'

export type FileMount = Extract<Mount, { kind: 'file' }>

/** A root filesystem by its layers. */
export interface KeptRootfs {
  readonly chainId: ChainId | undefined
  /** Bottom first. */
  readonly diffIds: readonly DiffId[]
}

/** What RUN --mount=type=bind showed. */
export interface KeptBind extends KeptRootfs {
  readonly path: string
  readonly target: string
  readonly readonly: boolean
}

/** All that is needed to stand again where a step failed, but for its secrets and its agents. */
export interface KeptStep {
  readonly version: 1
  readonly build: string
  readonly label: WireLabel | undefined
  readonly exitCode: number
  /** With mounts of the kinds that are made anew: caches, tmpfs, secrets, agents. */
  readonly node: RunNode
  readonly spec: Omit<ContainerSpec, 'id' | 'rootfs' | 'mounts'> & { readonly mounts: readonly FileMount[] }
  readonly binds: readonly KeptBind[]
  /** What the step began with. */
  readonly before: KeptRootfs
  /** What it left. */
  readonly after: KeptRootfs
  /** Names of the images that keep the layers. */
  readonly images: readonly string[]
}

const keptFile = 'failure.json'

export function writeKeptStep(folder: string, kept: KeptStep): void {
  const mounts = kept.spec.mounts.map((mount) => ({ ...mount, content: Buffer.from(mount.content).toString('base64') }))
  writeFileSync(join(folder, keptFile), `${JSON.stringify({ ...kept, spec: { ...kept.spec, mounts } }, undefined, 2)}\n`, { mode: 0o600 })
}

/** From a bundle's folder. @throws {BuildNotFound} when nothing was kept there */
export function readKeptStep(folder: string, shownAs: string): KeptStep {
  try {
    const kept = JSON.parse(readFileSync(join(folder, keptFile), 'utf8')) as Omit<KeptStep, 'spec'> & { spec: Omit<KeptStep['spec'], 'mounts'> & { mounts: (Omit<FileMount, 'content'> & { content: string })[] } }
    return { ...kept, spec: { ...kept.spec, mounts: kept.spec.mounts.map((mount) => ({ ...mount, content: Buffer.from(mount.content, 'base64') })) } }
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) throw new BuildNotFound(shownAs, 'has kept no failed step: --on-failure=keep does')
    throw error
  }
}

/** Of a build of this store. @throws {BuildNotFound} */
export function getKeptStep(root: string, build: string): KeptStep {
  return readKeptStep(buildFolder(root, build), build)
}
