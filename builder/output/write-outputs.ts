import type { Stats } from 'node:fs'
import { lstatSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Platform } from '../../oci/platform.ts'
import { formatPlatform } from '../../oci/platform.ts'
import type { AttestationSigner } from '../attest/attestation-key.ts'
import { pushEnvelopes } from '../attest/push-envelopes.ts'
import type { ArchiveSink } from '../archive/archive-sink.ts'
import { createFileSink, createFolderSink, createStreamSink, writeStream } from '../archive/archive-sink.ts'
import { writeArchive } from '../archive/save.ts'
import type { Engine } from '../engine.ts'
import { OutputConflict, UnsuitableRequest } from '../errors.ts'
import type { BuildEvent } from '../events.ts'
import type { OpenedImage } from '../transfer/portable-image.ts'
import type { Departure } from '../transfer/portable-tree.ts'
import { uploadDeparture, uploadTree } from '../transfer/push.ts'
import type { BuildOutput, Destination } from './build-output.ts'
import { writeThere } from './no-room.ts'
import { checkOutputFile, checkPlace, explainPlace, writeOutputFile } from './output-file.ts'
import { rootfsTar, writeRootfs } from './rootfs.ts'

/** What is written of a build. */
export interface OutputImage extends Departure {
  /** What the store calls it. */
  readonly id: Digest
  readonly descriptor: Descriptor
  /** Of what is said of it in registries. */
  readonly signer: AttestationSigner | undefined
}

/** Where an image went, and what it is there: another compression makes another manifest. */
export interface WrittenOutput {
  readonly output: BuildOutput
  readonly descriptor: Descriptor | undefined
}

/**
 * Before anything is built: whether the outputs can be written where they are asked for.
 * @throws {OutputConflict} @throws {UnsuitableRequest}
 */
export function checkOutputs(outputs: readonly BuildOutput[], { names, platforms }: { readonly names: readonly string[]; readonly platforms: readonly Platform[] }): void {
  for (const output of outputs) {
    if (platforms.length > 1 && (output.type === 'docker' || output.type === 'tar')) throw new UnsuitableRequest(`output of type ${output.type} holds one image, and this build is for ${platforms.map(formatPlatform).join(' and ')}: take type=oci, type=registry or type=local, or one --platform`)
    if (output.type === 'registry' && output.names.length === 0 && names.length === 0) throw new UnsuitableRequest('an image that is pushed needs a name: give -t, or name= with the output')
    if ('to' in output && output.to.kind !== 'stream') checkDestination(output.type, output.to)
  }
}

function checkDestination(type: BuildOutput['type'], to: Exclude<Destination, { kind: 'stream' }>): void {
  const path = resolve(to.path)
  if (to.kind === 'file') {
    checkOutputFile(path)
    return
  }
  const there = lookAt(path)
  if (there !== undefined && !there.isDirectory()) throw new OutputConflict(path, 'it is no folder, and one is to be written')
  if (type !== 'oci') return
  if (there !== undefined && readdirSync(path).length > 0) throw new OutputConflict(path, 'the folder is not empty')
  checkPlace(path)
}

function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch (error) {
    throw explainPlace(path, error)
  }
}

/** Writes the outputs one after the other. Layers are durable already. */
export async function writeOutputs(engine: Engine, written: { readonly image: OutputImage; readonly outputs: readonly BuildOutput[] }, task: Task<BuildEvent>): Promise<WrittenOutput[]> {
  const results: WrittenOutput[] = []
  for (const output of written.outputs) {
    const write = (): ReturnType<typeof writeOutput> => writeOutput(engine, { image: written.image, output }, task)
    results.push({ output, descriptor: 'to' in output && output.to.kind !== 'stream' ? await writeThere(output.to.path, write) : await write() })
  }
  return results
}

async function writeOutput(engine: Engine, { image: written, output }: { image: OutputImage; output: BuildOutput }, task: Task<BuildEvent>): Promise<Descriptor | undefined> {
  const { store } = engine
  const { members, names } = written
  const quiet = silent(task)
  switch (output.type) {
    case 'image':
      store.images.put(written.descriptor, written.id, names)
      return written.descriptor
    case 'registry': return writeRegistry(engine, { image: written, output }, task)
    case 'oci': {
      const format = output.to.kind === 'folder' ? 'oci-dir' : 'oci-archive'
      const named = [{ ...written, names: output.names.length > 0 ? output.names : names }]
      const [descriptor] = await writeArchive(store, { named, format, sink: await openSink(output.to), blobs: output.blobs }, quiet)
      return descriptor
    }
    case 'docker': {
      const named = [{ ...written, names: output.names.length > 0 ? output.names : names }]
      const [descriptor] = await writeArchive(store, { named, format: 'docker-archive', sink: await openSink(output.to), blobs: { compression: 'none', level: undefined, isForced: false, mediaTypes: 'docker' } }, quiet)
      return descriptor
    }
    case 'local':
      for (const { image } of members) await writeRootfs(store, { top: image.chain.at(-1), folder: join(resolve(output.to.path), members.length > 1 ? platformFolder(image) : '') }, quiet)
      return undefined
    case 'tar':
      await writeTar(output.to, await rootfsTar(store, members[0]?.image.chain.at(-1), quiet))
      return undefined
  }
}

async function writeRegistry(engine: Engine, { image, output }: { image: OutputImage; output: Extract<BuildOutput, { type: 'registry' }> }, task: Task<BuildEvent>): Promise<Descriptor | undefined> {
  const names = output.names.length > 0 ? output.names : image.names
  const [first, ...others] = names
  if (first === undefined) return undefined
  const isByDigest = output.isByDigest === true
  const { descriptor, tree } = await uploadDeparture(engine, { name: first, isByDigest, departure: { ...image, names }, blobs: output.blobs }, task)
  for (const other of others) await uploadTree(engine, { name: other, isByDigest, tree }, task)
  const { signer } = image
  if (signer !== undefined) for (const name of names) await pushEnvelopes(engine, { name, names, tree, signer }, task)
  return descriptor
}

/** As buildx names them: `linux_arm_v7`. */
function platformFolder({ config }: OpenedImage): string {
  return formatPlatform(config).replaceAll('/', '_')
}

async function openSink(to: Destination): Promise<ArchiveSink> {
  switch (to.kind) {
    case 'file': return createFileSink(to.path)
    case 'folder': return createFolderSink(to.path)
    case 'stream': return createStreamSink(to.stream)
  }
}

async function writeTar(to: Exclude<Destination, { kind: 'folder' }>, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  if (to.kind === 'file') await writeOutputFile(to.path, 0o666, bytes)
  else await writeStream(to.stream, bytes)
}
