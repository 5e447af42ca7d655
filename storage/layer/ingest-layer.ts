import type { Task } from '../../core/task.ts'
import type { Compression } from '../../oci/descriptor.ts'
import type { ChainId } from '../../oci/digest.ts'
import { chainId as computeChainId, digestAlgorithm } from '../../oci/digest.ts'
import { DigestMismatch } from '../../oci/errors.ts'
import { expectReaders } from '../../oci/spent-bytes.ts'
import { limitBytes } from '../../oci/verify.ts'
import type { BlobWriter, ContinuedWriter } from '../content-store.ts'
import { LayerMissing } from '../errors.ts'
import { MalformedCompression } from '../compression/errors.ts'
import { HostileArchive } from '../tree/errors.ts'
import type { Layer } from '../layer-store.ts'
import type { IncomingLayer, OpenBlob } from '../store.ts'
import { addLayer } from './add-layer.ts'
import type { LayerContext } from './layer-context.ts'
import { createRendezvous } from './rendezvous.ts'
import type { LoneLayer } from './stored-layer.ts'

interface Unpacked {
  readonly compression: Compression
  /** undefined when it takes the layers below, which are still on their way. */
  readonly layer: LoneLayer | undefined
}

interface Passage {
  readonly writer: BlobWriter
  readonly bytes: AsyncIterable<Uint8Array>
  /** Called when it failed. */
  readonly giveUp: () => Promise<void>
}

/** Takes compressed layers in, several of one image at a time: a layer waits for its parent only where it has to. */
export class LayerIntake {
  readonly #context: LayerContext
  readonly #underway = new Map<ChainId, Promise<Layer>>()

  constructor(context: LayerContext) {
    this.#context = context
  }

  async ingest(incoming: IncomingLayer, task: Task): Promise<Layer> {
    const chainId = computeChainId(incoming.parent, incoming.diffId)
    const underway = this.#underway.get(chainId)
    if (underway !== undefined) {
      await close(incoming.bytes)
      return underway
    }
    const started = this.#ingest(incoming, chainId, task).finally(() => this.#underway.delete(chainId))
    this.#underway.set(chainId, started)
    return started
  }

  async #ingest(incoming: IncomingLayer, chainId: ChainId, task: Task): Promise<Layer> {
    const { blobs, records } = this.#context
    const found = records.find(chainId)
    if (found !== undefined) {
      await blobs.ingest(incoming.blob, typeof incoming.bytes === 'function' ? incoming.bytes(0) : incoming.bytes, task)
      return found
    }
    if (blobs.find(incoming.blob.digest) !== undefined) {
      await close(incoming.bytes)
      return this.#applyStored(incoming, task)
    }
    const layer = await this.#storeAndUnpack(incoming, task)
    if (layer === undefined) return this.#applyStored(incoming, task)
    await this.#parent(incoming.parent)
    return addLayer(this.#context, incoming.parent, layer)
  }

  /** @returns undefined when the blob was stored, and its tree has to wait for the parent or is another process's to make too */
  async #storeAndUnpack(incoming: IncomingLayer, task: Task): Promise<LoneLayer | undefined> {
    const { blobs } = this.#context
    const { blob, bytes } = incoming
    if (typeof bytes !== 'function') {
      const writer = await blobs.createWriter({ algorithm: digestAlgorithm(blob.digest), maxBytes: blob.size })
      return this.#pass(incoming, { writer, bytes, giveUp: () => writer.discard() }, task)
    }
    const writer = await blobs.continueWriter(blob, task)
    if (writer === undefined) return undefined
    const source = { isBroken: false }
    // What had arrived stays when no more came; it goes when it is not what it should be.
    const giveUp = (): Promise<void> => (source.isBroken || task.signal.aborted ? writer.leave() : writer.discard())
    try {
      return await this.#pass(incoming, { writer, bytes: continued(writer, bytes, source), giveUp }, task)
    } catch (error) {
      // What an earlier call had left may be what is wrong. It is gone now.
      if (writer.heldBytes === 0 || task.signal.aborted || !isOfContent(error)) throw error
      return this.#storeAndUnpack(incoming, task)
    }
  }

  async #pass(incoming: IncomingLayer, { writer, bytes, giveUp }: Passage, task: Task): Promise<LoneLayer | undefined> {
    const stream = createRendezvous<Uint8Array>()
    // Also when it failed before it read anything, the writer must not wait for a reader.
    const unpacking = this.#unpack(incoming, stream, task).finally(() => close(stream))
    unpacking.catch(() => undefined)
    try {
      let isWanted = true
      for await (const chunk of limitBytes(bytes, incoming.blob)) {
        if (isWanted) expectReaders(chunk, 2)
        const written = writer.write(chunk)
        if (isWanted) isWanted = await stream.push(chunk)
        // A tree that failed fails the whole; one that waits for its parent does not.
        if (!isWanted) await unpacking
        await written
      }
      await writer.verify(incoming.blob)
      stream.end()
      const unpacked = await unpacking
      await writer.publish()
      return this.#finish(incoming, unpacked)
    } catch (error) {
      stream.end({ error })
      await Promise.allSettled([unpacking])
      await giveUp()
      throw error
    }
  }

  async #applyStored(incoming: IncomingLayer, task: Task): Promise<Layer> {
    await this.#parent(incoming.parent)
    const unpacked = await this.#unpack(incoming, this.#context.blobs.read(incoming.blob, task), task)
    const layer = this.#finish(incoming, unpacked)
    if (layer === undefined) throw new TypeError('the helper asked for lower layers that it had')
    return addLayer(this.#context, incoming.parent, layer)
  }

  async #unpack({ parent, diffId }: IncomingLayer, bytes: AsyncIterable<Uint8Array>, task: Task): Promise<Unpacked> {
    const { records, format } = this.#context
    const { recognize } = await import('../compression/decompress.ts')
    const { compression, bytes: changeset } = await recognize(bytes)
    const isParentThere = parent === undefined || records.find(parent) !== undefined
    const lowers = isParentThere ? records.visibleStack(parent) : undefined
    return { compression, layer: await format.unpack({ changeset, compression, expected: diffId, origin: 'foreign', isBottom: parent === undefined, lowers }, task) }
  }

  /** Only a blob that is stored, and was seen to hold this changeset, is remembered for it. */
  #finish({ diffId, blob }: IncomingLayer, { compression, layer }: Unpacked): LoneLayer | undefined {
    if (layer !== undefined) this.#context.layerBlobs.remember(diffId, compression, blob.digest)
    return layer
  }

  async #parent(parent: ChainId | undefined): Promise<void> {
    if (parent === undefined || this.#context.records.find(parent) !== undefined) return
    const underway = this.#underway.get(parent)
    if (underway === undefined) throw new LayerMissing(parent)
    await underway
  }
}

/** What is there already, then what is fetched. */
async function* continued(writer: ContinuedWriter, open: OpenBlob, source: { isBroken: boolean }): AsyncGenerator<Uint8Array, void, undefined> {
  yield* writer.held()
  try {
    yield* open(writer.heldBytes)
  } catch (error) {
    source.isBroken = !isMismatch(error)
    throw error
  }
}

/** Of a source that looks at the digest itself: what it gave is wrong, and not only too little. */
function isMismatch(error: unknown): boolean {
  return error instanceof DigestMismatch || (error instanceof Error && error.cause instanceof DigestMismatch)
}

/** Wrong bytes can be met by whoever undoes the compression or reads the archive, before all of them were hashed. */
function isOfContent(error: unknown): boolean {
  return error instanceof DigestMismatch || error instanceof MalformedCompression || error instanceof HostileArchive
}

async function close(bytes: AsyncIterable<Uint8Array> | OpenBlob): Promise<void> {
  if (typeof bytes !== 'function') await bytes[Symbol.asyncIterator]().return?.()
}
