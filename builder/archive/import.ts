import type { Task } from '../../core/task.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import { layerMediaType } from '../../oci/descriptor.ts'
import { diffIdAsDigest } from '../../oci/digest.ts'
import type { ImageConfig, RunConfig } from '../../oci/image-config.ts'
import { encodeImageConfig } from '../../oci/image-config.ts'
import type { Manifest } from '../../oci/manifest.ts'
import { encodeDocument } from '../../oci/manifest.ts'
import type { Platform } from '../../oci/platform.ts'
import type { StoredImage } from '../../storage/index.ts'
import { decompress } from '../../storage/index.ts'
import { expandInstruction } from '../dockerfile/expand/instruction.ts'
import { parseOnbuildTrigger } from '../dockerfile/parse.ts'
import type { Engine } from '../engine.ts'
import { MalformedArchive } from './errors.ts'
import { canonicalName } from '../find-image.ts'
import { lowerConfig } from '../plan/lower-config.ts'
import { plannedImage, scratchState } from '../plan/stage-state.ts'
import { evaluateGlobalArgs } from '../dockerfile/arg-scope.ts'

export interface ImportRequest {
  /** A tar of a root filesystem, plain or compressed with gzip or zstd. */
  readonly tar: AsyncIterable<Uint8Array>
  readonly name: string | undefined
  /** Dockerfile instructions that set the image's config: `CMD ["sh"]`. */
  readonly changes: readonly string[]
  readonly platform: Platform
  readonly message: string | undefined
}

const maxTarBytes = 2 ** 40

/** Makes an image of one layer from a root filesystem. */
export async function importRootfs({ store }: Engine, request: ImportRequest, task: Task): Promise<StoredImage> {
  const config = changedConfig(request)
  const { bytes } = await decompress(request.tar, maxTarBytes)
  const layer = await store.layers.apply(undefined, bytes, undefined, task)
  const created = new Date().toISOString()
  const image: ImageConfig = {
    created,
    ...request.platform,
    config,
    rootfs: { type: 'layers', diff_ids: [layer.diffId] },
    history: [{ created, created_by: 'IMPORT', comment: request.message ?? 'imported root filesystem' }],
  }
  const configBlob = await store.content.write(encodeImageConfig(image), mediaTypes.ociConfig)
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: configBlob,
    layers: [{ mediaType: layerMediaType('none'), digest: diffIdAsDigest(layer.diffId), size: layer.tarBytes }],
  }
  const descriptor = await store.content.write(encodeDocument(manifest), mediaTypes.ociManifest)
  await store.layers.sync(task)
  return store.images.put(descriptor, configBlob.digest, request.name === undefined ? [] : [canonicalName(request.name)])
}

/** @throws {DockerfileError} @throws {MalformedArchive} for an instruction that does not change a config */
function changedConfig({ changes, platform }: ImportRequest): RunConfig {
  const dockerfile = { source: { name: '--change', text: '' }, directives: { syntax: undefined, escape: '\\', check: undefined } as const, globalArgs: [], stages: [] }
  const global = evaluateGlobalArgs(dockerfile, { buildArgs: new Map(), platformArgs: new Map() })
  let state = scratchState(global, platform)
  for (const change of changes) {
    const source = { name: '--change', text: change }
    const { instruction } = expandInstruction(parseOnbuildTrigger(change), state.scope.variables, { source, directives: dockerfile.directives })
    switch (instruction.kind) {
      case 'RUN':
      case 'COPY':
      case 'ADD':
      case 'ARG': throw new MalformedArchive(`--change takes instructions that set the config, and ${instruction.kind} does not`)
      case 'WORKDIR':
        state = { ...state, config: { ...state.config, WorkingDir: instruction.path.text } }
        break
      default: state = lowerConfig(state, instruction, source)
    }
  }
  return plannedImage(state).config
}
