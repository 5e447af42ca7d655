import type { LowerLayer } from '../../native/index.ts'
import type { ErofsBacking } from '../erofs/erofs-support.ts'
import type { HeldImages } from '../erofs/held-images.ts'
import type { RootfsView } from '../layer-store.ts'
import type { Layout } from '../root/layout.ts'
import type { OverlayXattrs } from '../tree/tree-helper.ts'
import type { StoredLayer } from './stored-layer.ts'
import { createRootfsView } from './view/rootfs-view.ts'

type Image = Omit<LowerLayer & { readonly kind: 'erofs' }, 'backing'>

/** How EROFS layers are mounted. */
interface Images {
  /** @throws {FormatUnavailable} where they cannot be */
  readonly backing: () => ErofsBacking
  readonly held: HeldImages
}

/** Stacks of stored layers as others want them, whichever way each layer is kept. */
export class LowerLayers {
  readonly #layout: Layout
  readonly #xattrs: OverlayXattrs
  readonly #images: Images

  constructor(layout: Layout, xattrs: OverlayXattrs, images: Images) {
    this.#layout = layout
    this.#xattrs = xattrs
    this.#images = images
  }

  /** What a root filesystem on top of the stack is made of, top first. @throws {FormatUnavailable} */
  mountable(stack: readonly StoredLayer[]): LowerLayer[] {
    return this.#describe(stack, (image) => {
      const backing = this.#images.backing()
      return backing === 'loop' ? { ...image, backing } : { ...image, backing, held: this.#images.held.hold(image.path, image.tar) }
    })
  }

  view(stack: readonly StoredLayer[]): RootfsView {
    return createRootfsView(this.#describe(stack, (image) => ({ ...image, backing: 'file' })), this.#xattrs)
  }

  #describe(stack: readonly StoredLayer[], complete: (image: Image) => LowerLayer): LowerLayer[] {
    return stack.flatMap(({ dir, origin }): LowerLayer[] => {
      if (dir === undefined) return []
      const path = this.#layout.layer(dir)
      return [origin === 'indexed' ? complete({ kind: 'erofs', path, tar: this.#layout.layerTar(dir) }) : { kind: 'directory', path }]
    })
  }
}
