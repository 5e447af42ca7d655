import type { Task } from '../../core/task.ts'
import type { PipeReader } from '../../native/index.ts'
import type { AskedPolicy } from '../erofs/choose-format.ts'
import { holdsMany } from './holds-many.ts'
import type { ChangedTree, LayerFormat, UnpackWork } from './layer-format.ts'
import type { LoneLayer, StoredLayer } from './stored-layer.ts'

/** From so many files and folders on a layer is made and flushed faster as an image; smaller ones are mounted faster as directories. Measured: 0031. */
export const manyEntries = 500

interface Formats {
  readonly overlay: LayerFormat
  readonly erofs: LayerFormat
  readonly policy: AskedPolicy
}

/** New layers in the formats that a policy gives them, and those that are there in the format each one has. */
export class MixedFormat implements LayerFormat {
  readonly #formats: Formats

  constructor(formats: Formats) {
    this.#formats = formats
  }

  /** Nobody knows how many files somebody else's archive holds before it was read, and none of them lies there yet. */
  get keepsTars(): boolean {
    return this.#formatFor(() => true).keepsTars
  }

  unpack(work: UnpackWork, task: Task): Promise<LoneLayer | undefined> {
    const { entries = Infinity } = work
    return this.#formatFor(() => entries >= manyEntries).unpack(work, task)
  }

  commit(tree: ChangedTree, task: Task): Promise<LoneLayer> {
    return this.#formatFor(() => holdsMany(tree.upperdir, manyEntries)).commit(tree, task)
  }

  changeset(layer: StoredLayer, task: Task): Promise<AsyncIterable<Uint8Array>> {
    return this.#formatOf(layer).changeset(layer, task)
  }

  pour(layer: StoredLayer, read: PipeReader, task: Task): Promise<void> {
    return this.#formatOf(layer).pour(layer, read, task)
  }

  #formatFor(isLarge: () => boolean): LayerFormat {
    const { overlay, erofs, policy } = this.#formats
    if (policy === 'overlay' || policy === 'erofs') return this.#formats[policy]
    return isLarge() === (policy === 'auto') ? erofs : overlay
  }

  #formatOf({ origin }: StoredLayer): LayerFormat {
    return origin === 'indexed' ? this.#formats.erofs : this.#formats.overlay
  }
}
