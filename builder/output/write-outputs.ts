import { accessSync, constants, createWriteStream, lstatSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { ArchiveSink } from '../archive/archive-sink.ts'
import { createFileSink, createFolderSink, createStreamSink, writeChunk } from '../archive/archive-sink.ts'
import { writeArchive } from '../archive/save.ts'
import type { Engine } from '../engine.ts'
import { OutputConflict, UnsuitableRequest } from '../errors.ts'
import type { BuildEvent } from '../events.ts'
import { canonicalName } from '../find-image.ts'
import type { OpenedImage } from '../transfer/portable-image.ts'
import { makePortable } from '../transfer/portable-image.ts'
import { uploadPortable } from '../transfer/push.ts'
import type { BuildOutput, Destination, ImageAnnotations } from './build-output.ts'
import { rootfsTar, writeRootfs } from './rootfs.ts'

/** What is written of a build. */
export interface OutputImage {
  readonly image: OpenedImage
  /** The request's names. */
  readonly names: readonly string[]
  readonly annotations: ImageAnnotations
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
export function checkOutputs(outputs: readonly BuildOutput[], names: readonly string[]): void {
  for (const output of outputs) {
    if (output.type === 'registry' && output.names.length === 0 && names.length === 0) throw new UnsuitableRequest('an image that is pushed needs a name: give -t, or name= with the output')
    if ('to' in output && output.to.kind !== 'stream') checkDestination(output.type, output.to)
  }
}

function checkDestination(type: BuildOutput['type'], to: Exclude<Destination, { kind: 'stream' }>): void {
  const path = resolve(to.path)
  const there = lstatSync(path, { throwIfNoEntry: false })
  if (there !== undefined && there.isDirectory() !== (to.kind === 'folder')) throw new OutputConflict(path, there.isDirectory() ? 'it is a folder, and a file is to be written' : 'it is no folder, and one is to be written')
  if (type === 'oci' && to.kind === 'folder' && there !== undefined && readdirSync(path).length > 0) throw new OutputConflict(path, 'the folder is not empty')
  if (type !== 'local') checkWritable(dirname(path))
}

function checkWritable(folder: string): void {
  try {
    accessSync(folder, constants.W_OK)
  } catch (error) {
    throw new OutputConflict(folder, 'it is no folder that can be written to', { cause: error })
  }
}

/** Writes the outputs one after the other. Layers are durable already. */
export async function writeOutputs(engine: Engine, written: { readonly image: OutputImage; readonly outputs: readonly BuildOutput[] }, task: Task<BuildEvent>): Promise<WrittenOutput[]> {
  const results: WrittenOutput[] = []
  for (const output of written.outputs) results.push({ output, descriptor: await writeOutput(engine, { image: written.image, output }, task) })
  return results
}

async function writeOutput(engine: Engine, { image: { image, names, annotations }, output }: { image: OutputImage; output: BuildOutput }, task: Task<BuildEvent>): Promise<Descriptor | undefined> {
  const { store } = engine
  const quiet = silent(task)
  switch (output.type) {
    case 'image':
      store.images.put(image.stored.manifest, image.stored.id, names)
      return image.stored.manifest
    case 'registry': {
      const portable = await makePortable(store, image, { blobs: output.blobs, task: quiet })
      const targets = output.names.length > 0 ? output.names.map(canonicalName) : names
      let descriptor: Descriptor | undefined
      for (const name of targets) descriptor = await uploadPortable(engine, { name, portable }, task)
      return descriptor
    }
    case 'oci': {
      const format = output.to.kind === 'folder' ? 'oci-dir' : 'oci-archive'
      const named = [{ image, names: output.names.length > 0 ? output.names.map(canonicalName) : names, annotations: annotations.manifestDescriptor }]
      const [descriptor] = await writeArchive(store, { named, format, sink: await openSink(output.to), blobs: output.blobs }, quiet)
      return descriptor
    }
    case 'docker': {
      const named = [{ image, names: output.names.length > 0 ? output.names.map(canonicalName) : names }]
      const [descriptor] = await writeArchive(store, { named, format: 'docker-archive', sink: await openSink(output.to), blobs: { compression: 'none', level: undefined, isForced: false, mediaTypes: 'docker' } }, quiet)
      return descriptor
    }
    case 'local':
      await writeRootfs(store, { top: image.chain.at(-1), folder: resolve(output.to.path) }, quiet)
      return undefined
    case 'tar':
      await writeTar(output.to, await rootfsTar(store, image.chain.at(-1), quiet))
      return undefined
  }
}

async function openSink(to: Destination): Promise<ArchiveSink> {
  switch (to.kind) {
    case 'file': return createFileSink(to.path)
    case 'folder': return createFolderSink(to.path)
    case 'stream': return createStreamSink(to.stream)
  }
}

async function writeTar(to: Exclude<Destination, { kind: 'folder' }>, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  if (to.kind === 'stream') return writeStream(to.stream, bytes)
  const temporary = join(dirname(to.path), `.${basename(to.path)}.${process.pid}.tmp`)
  try {
    await pipeline(Readable.from(bytes), createWriteStream(temporary, { flags: 'wx', flush: true }))
    renameSync(temporary, to.path)
  } finally {
    rmSync(temporary, { force: true })
  }
}

async function writeStream(stream: Writable, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of bytes) await writeChunk(stream, chunk)
}
