import { openSync, rmSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Task } from '../../core/task.ts'
import type { PipeReader } from '../../native/index.ts'
import type { Compression } from '../../oci/descriptor.ts'
import type { DiffId } from '../../oci/digest.ts'
import { digestAsDiffId } from '../../oci/digest.ts'
import type { Encoded } from '../compression/decompress.ts'
import type { GzipEngine } from '../compression/gzip-engine.ts'
import { DiffIdMismatch } from '../errors.ts'
import { HashedFile } from '../hashed-file.ts'
import { emptyLayer } from '../layer/changeset/empty-changeset.ts'
import { PackedChangeset } from '../layer/changeset/pack-changeset.ts'
import { maxChangesetBytes, maxChangesetSeconds } from '../layer/layer-blobs.ts'
import type { ChangedTree, LayerFormat, UnpackWork } from '../layer/layer-format.ts'
import type { LayerRecords } from '../layer/layer-records.ts'
import type { LowerLayers } from '../layer/lower-layers.ts'
import type { LoneLayer, StoredLayer } from '../layer/stored-layer.ts'
import { explainFull } from '../root/explain-full.ts'
import type { Layout } from '../root/layout.ts'
import type { Session } from '../root/session.ts'
import { packTree, pourTree } from '../tree/pack-tree.ts'
import { readFilePieces } from './read-file-pieces.ts'
import { writeIndex } from './write-index.ts'

interface Parts {
  readonly layout: Layout
  readonly session: Session
  readonly records: LayerRecords
  readonly lowers: LowerLayers
}

/** A changeset to be kept under a number of the session's. */
interface Keeping {
  readonly dir: string
  readonly changeset: AsyncIterable<Uint8Array>
  readonly compression: Compression
  readonly expected: DiffId | undefined
  readonly isBottom: boolean
  readonly lowers: readonly StoredLayer[] | undefined
}

/** Layers as their own tar, and an EROFS image whose files lie in it. Two inodes each, and nothing is unpacked. */
export class ErofsFormat implements LayerFormat {
  readonly keepsTars = true
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  unpack({ changeset, compression = 'none', expected, isBottom, lowers }: UnpackWork, task: Task): Promise<LoneLayer | undefined> {
    return this.#keep({ dir: this.#parts.session.createDirId(), changeset, compression, expected, isBottom, lowers }, task)
  }

  async commit({ dir, upperdir, parent }: ChangedTree, task: Task): Promise<LoneLayer> {
    const { layout, records } = this.#parts
    const lowers = records.visibleStack(parent)
    const packing = { root: layout.root, directory: upperdir, xattrs: 'trusted', hasRoot: false, opaqueMarks: 'where-they-hide', lowers: this.#parts.lowers.mountable(lowers) } as const
    const changeset = new PackedChangeset(packTree(packing, task), { pour: async (read) => { await pourTree(packing, read, task) } })
    const layer = await this.#keep({ dir, changeset, compression: 'none', expected: undefined, isBottom: parent === undefined, lowers }, task)
    if (layer === undefined) throw new TypeError('the helper asked for lower layers that it had')
    return layer
  }

  changeset(layer: StoredLayer, task: Task): Promise<AsyncIterable<Uint8Array>> {
    return Promise.resolve(readFilePieces(this.#parts.layout.layerTar(layer.dir ?? ''), task))
  }

  async pour(layer: StoredLayer, read: PipeReader): Promise<void> {
    await read(openSync(this.#parts.layout.layerTar(layer.dir ?? ''), 'r'))
  }

  async #keep({ dir, expected, isBottom, lowers, changeset, compression }: Keeping, task: Task): Promise<LoneLayer | undefined> {
    const { layout } = this.#parts
    const [index, tar] = [layout.layer(dir), layout.layerTar(dir)]
    let isKept = false
    try {
      const { diffId, tarBytes } = await this.#writeTar(tar, { compression, bytes: changeset }, task)
      if (expected !== undefined && expected !== diffId) throw new DiffIdMismatch(expected, diffId)
      if (diffId === emptyLayer.diffId) return emptyLayer
      const below = lowers === undefined ? undefined : this.#parts.lowers.mountable(lowers)
      // Nothing lies below a bottom layer that a whiteout could hide, whoever wrote it.
      const outcome = await writeIndex({ root: layout.root, tar, index, diffId, makesWhiteouts: !isBottom, maxBytes: maxChangesetBytes, maxSeconds: maxChangesetSeconds, lowers: below }, task)
      if (outcome.kind === 'needs-lowers') return undefined
      isKept = true
      const { hasRoot, hidesBelow } = outcome
      return { diffId, dir, origin: 'indexed', hasRoot, hidesBelow, tarBytes, diskBytes: (statSync(tar).blocks + statSync(index).blocks) * 512, inodes: 2 }
    } finally {
      // At once and not by way of the trash: what was too large for the disk is gone before anything else is written.
      if (!isKept) for (const path of [index, tar]) rmSync(path, { force: true })
    }
  }

  async #writeTar(path: string, { compression, bytes }: Encoded, task: Task): Promise<{ readonly diffId: DiffId; readonly tarBytes: number }> {
    try {
      const file = new HashedFile(await open(path, 'wx', 0o600), { algorithm: 'sha256', inflater: await chooseInflater(compression), heldBytes: 0, maxBytes: maxChangesetBytes })
      try {
        if (bytes instanceof PackedChangeset && bytes.pour !== undefined) await bytes.pour((readFd) => file.drain(readFd))
        else for await (const chunk of untilAborted(compression === 'zstd' ? await decodeLazily({ compression, bytes }) : bytes, task.signal)) await file.add(chunk)
        const { digest, sizeBytes } = await file.finish()
        return { diffId: digestAsDiffId(digest), tarBytes: sizeBytes }
      } finally {
        await file.close()
      }
    } catch (error) {
      throw explainFull(this.#parts.layout.root, error)
    }
  }
}

/** A stream may be waiting for something that never comes; the abort does not. */
async function* untilAborted(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => { reject(signal.reason) }
  aborted.catch(() => undefined)
  signal.throwIfAborted()
  signal.addEventListener('abort', abort, { once: true })
  const chunks = bytes[Symbol.asyncIterator]()
  let isWhole = false
  try {
    for (let next = await Promise.race([chunks.next(), aborted]); next.done !== true; next = await Promise.race([chunks.next(), aborted])) yield next.value
    isWhole = true
  } finally {
    signal.removeEventListener('abort', abort)
    // One that waits for ever is not waited for.
    if (!isWhole) chunks.return?.().catch(() => undefined)
  }
}

/** Loaded where it is used: few layers come in what the threads do not undo. */
async function decodeLazily(encoded: Encoded): Promise<AsyncIterable<Uint8Array>> {
  const { decode } = await import('../compression/decompress.ts')
  return decode(encoded, maxChangesetBytes)
}

async function chooseInflater(compression: Compression): Promise<'none' | GzipEngine['name']> {
  if (compression !== 'gzip') return 'none'
  const { chooseGzipEngine } = await import('../compression/choose-gzip-engine.ts')
  return chooseGzipEngine().engine.name
}
