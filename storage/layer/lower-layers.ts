import type { LowerLayer } from '../../native/index.ts'
import type { ErofsBacking } from '../erofs/erofs-support.ts'
import type { RootfsView } from '../layer-store.ts'
import type { Layout } from '../root/layout.ts'
import type { OverlayXattrs } from '../tree/tree-helper.ts'
import type { StoredLayer } from './stored-layer.ts'
import { createRootfsView } from './view/rootfs-view.ts'

/** Stacks of stored layers as others want them, whichever way each layer is kept. */
export class LowerLayers {
  readonly #layout: Layout
  readonly #xattrs: OverlayXattrs
  readonly #backing: () => ErofsBacking

  /** @param backing how EROFS layers are mounted; it throws where they cannot be */
  constructor(layout: Layout, xattrs: OverlayXattrs, backing: () => ErofsBacking) {
    this.#layout = layout
    this.#xattrs = xattrs
    this.#backing = backing
  }

  /** What a root filesystem on top of the stack is made of, top first. @throws {FormatUnavailable} */
  mountable(stack: readonly StoredLayer[]): LowerLayer[] {
    return this.#describe(stack, this.#backing)
  }

  view(stack: readonly StoredLayer[]): RootfsView {
    return createRootfsView(this.#describe(stack, () => 'file'), this.#xattrs)
  }

  #describe(stack: readonly StoredLayer[], backing: () => ErofsBacking): LowerLayer[] {
    return stack.flatMap(({ dir, origin }): LowerLayer[] => {
      if (dir === undefined) return []
      const path = this.#layout.layer(dir)
      return origin === 'indexed' ? [{ kind: 'erofs', path, tar: this.#layout.layerTar(dir), backing: backing() }] : [{ kind: 'directory', path }]
    })
  }
}
