import type { Descriptor } from '../../oci/descriptor.ts'
import type { ImageConfig } from '../../oci/image-config.ts'
import type { Platform } from '../../oci/platform.ts'
import type { Place } from '../dockerfile/errors.ts'

/** An image that a Dockerfile names, known as far as its config. */
export interface BaseImage {
  /** The canonical name. */
  readonly name: string
  readonly config: ImageConfig
  /** One for each layer of the config, bottom first. */
  readonly layers: readonly Descriptor[]
}

/** Where planning gets images from. */
export interface BaseImages {
  /** @throws {ImageUnavailable} */
  resolve(name: string, platform: Platform, place: ImagePlace): Promise<BaseImage>
}

/** Where a Dockerfile names an image. */
export interface ImagePlace extends Place {
  /** The stage that may have been meant. */
  readonly nearestStage?: () => string | undefined
}
