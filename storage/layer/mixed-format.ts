import type { Task } from '../../core/task.ts'
import type { PipeReader } from '../../native/index.ts'
import type { ChangedTree, LayerFormat, UnpackWork } from './layer-format.ts'
import type { LoneLayer, StoredLayer } from './stored-layer.ts'

/** New layers in one format, and those that are there in the format each one has. */
export class MixedFormat implements LayerFormat {
  readonly #chosen: LayerFormat
  readonly #overlay: LayerFormat
  readonly #erofs: LayerFormat

  constructor(formats: { readonly overlay: LayerFormat; readonly erofs: LayerFormat; readonly chosen: 'overlay' | 'erofs' }) {
    this.#overlay = formats.overlay
    this.#erofs = formats.erofs
    this.#chosen = formats[formats.chosen]
  }

  get keepsTars(): boolean {
    return this.#chosen.keepsTars
  }

  unpack(work: UnpackWork, task: Task): Promise<LoneLayer | undefined> {
    return this.#chosen.unpack(work, task)
  }

  commit(tree: ChangedTree, task: Task): Promise<LoneLayer> {
    return this.#chosen.commit(tree, task)
  }

  changeset(layer: StoredLayer, task: Task): Promise<AsyncIterable<Uint8Array>> {
    return this.#formatOf(layer).changeset(layer, task)
  }

  pour(layer: StoredLayer, read: PipeReader, task: Task): Promise<void> {
    return this.#formatOf(layer).pour(layer, read, task)
  }

  #formatOf({ origin }: StoredLayer): LayerFormat {
    return origin === 'indexed' ? this.#erofs : this.#overlay
  }
}
