import type { Task } from '../../core/task.ts'
import { layerMediaType, mediaTypes } from '../../oci/descriptor.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { ChainId } from '../../oci/digest.ts'
import { chainIds, diffIdAsDigest } from '../../oci/digest.ts'
import { encodeImageConfig } from '../../oci/image-config.ts'
import type { ImageConfig } from '../../oci/image-config.ts'
import { encodeDocument } from '../../oci/manifest.ts'
import type { Manifest } from '../../oci/manifest.ts'
import { hostPlatform } from '../../oci/platform.ts'
import type { ContainerSpec } from '../../runtime/index.ts'
import type { Snapshot, Store } from '../../storage/index.ts'
import type { NodeResult } from '../execute/executor.ts'
import { canonicalName } from '../find-image.ts'
import type { OpenMounts } from '../mount/open-mounts.ts'
import type { RunNode } from '../plan/plan.ts'
import { buildFolder } from '../record/build-record.ts'
import type { WireLabel } from '../record/wire-event.ts'
import type { KeptBind, KeptRootfs, KeptStep } from './kept-step.ts'
import { writeKeptStep } from './kept-step.ts'

/** A step at the moment of its failure. */
export interface FailedRun {
  readonly build: string
  readonly label: WireLabel | undefined
  readonly exitCode: number
  readonly node: RunNode
  readonly base: NodeResult
  readonly spec: ContainerSpec
  readonly snapshot: Snapshot
  readonly opened: OpenMounts
}

/**
 * Keeps what a failed step left as a layer, and the layer by an image named `tsbuild-debug:BUILD`, which `rmi` removes as
 * any other. Values of secrets are left out. The snapshot is used up.
 */
export async function keepStep(store: Store, failed: FailedRun, task: Task): Promise<KeptStep> {
  const { build, node, base, spec, opened } = failed
  const layer = await failed.snapshot.commit(task)
  await store.layers.sync(task)
  const after: KeptRootfs = { chainId: layer.chainId, diffIds: [...base.diffIds, layer.diffId] }
  const binds = opened.binds.map((bind): KeptBind => ({ ...bind, diffIds: diffIdsOf(store, bind.chainId) }))
  const trees = [after, ...binds.filter(({ diffIds }) => diffIds.length > 0)]
  const images: string[] = []
  for (const [index, tree] of trees.entries()) {
    const name = canonicalName(`tsbuild-debug:${build}${index === 0 ? '' : `-mount-${index}`}`)
    await nameTree(store, { tree, spec, createdBy: failed.label?.source ?? 'RUN' }, name)
    images.push(name)
  }
  const kept: KeptStep = {
    version: 1, build, label: failed.label, exitCode: failed.exitCode,
    node: { ...node, mounts: node.mounts.filter(({ type }) => type !== 'bind').map((mount) => mount.type === 'cache' ? { ...mount, from: undefined } : mount) },
    spec: keptSpec(failed), binds, before: { chainId: base.chainId, diffIds: base.diffIds }, after, images,
  }
  writeKeptStep(buildFolder(store.root, build), kept)
  return kept
}

/** The files that are mounted whatever the step asks for: those it asked for are made again. */
function keptSpec({ spec, opened }: FailedRun): KeptStep['spec'] {
  const { id: _id, rootfs: _rootfs, isolation, ...rest } = spec
  const { network } = isolation
  const secret = new Set(opened.env)
  return {
    ...rest, isolation: { ...isolation, network: network.mode === 'bridge' ? { mode: 'bridge', port: network.port } : network },
    process: { ...spec.process, env: spec.process.env.filter((entry) => !secret.has(entry)) },
    mounts: spec.mounts.filter((mount) => mount.kind === 'file' && !opened.mounts.includes(mount)).filter((mount) => mount.kind === 'file'),
  }
}

function diffIdsOf(store: Store, top: ChainId | undefined): KeptRootfs['diffIds'] {
  const layer = top === undefined ? undefined : store.layers.find(top)
  return layer === undefined ? [] : [...diffIdsOf(store, layer.parent), layer.diffId]
}

async function nameTree(store: Store, { tree, spec, createdBy }: { tree: KeptRootfs; spec: ContainerSpec; createdBy: string }, name: string): Promise<void> {
  const { uid, gid } = spec.process.user
  const config: ImageConfig = {
    ...hostPlatform(process.arch),
    config: { Env: spec.process.env.filter((entry) => entry.startsWith('PATH=')), Cmd: ['/bin/sh'], WorkingDir: spec.process.cwd, User: `${uid}:${gid}` },
    rootfs: { type: 'layers', diff_ids: tree.diffIds },
    history: [{ created_by: createdBy, comment: 'kept by tsbuild where the step failed' }],
  }
  const configBlob = await store.content.write(encodeImageConfig(config), mediaTypes.ociConfig)
  const manifest: Manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: configBlob, layers: chainIds(tree.diffIds).map((chainId) => plainLayer(store, chainId)) }
  store.images.put(await store.content.write(encodeDocument(manifest), mediaTypes.ociManifest), configBlob.digest, [name])
}

function plainLayer(store: Store, chainId: ChainId): Descriptor {
  const layer = store.layers.find(chainId)
  if (layer === undefined) throw new TypeError(`layer ${chainId} was in use a moment ago and is not in the store`)
  return { mediaType: layerMediaType('none'), digest: diffIdAsDigest(layer.diffId), size: layer.tarBytes }
}
