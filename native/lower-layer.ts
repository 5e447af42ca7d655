import type { WireWriter } from './wire.ts'

/** One layer of a stack that the helper mounts or looks into. */
export type LowerLayer =
  /** A tree in the form that overlayfs takes for a lower directory. */
  | { readonly kind: 'directory'; readonly path: string }
  /** An EROFS image whose files lie in a tar. */
  | {
    readonly kind: 'erofs'
    /** The image. */
    readonly path: string
    readonly tar: string
    /** Mounted straight from the files (Linux 6.12 and later), or through loop devices. */
    readonly backing: 'file' | 'loop'
    /** A path of a mount of it, attached nowhere, that can be cloned instead. */
    readonly held?: string
  }

/** @see native/helper/layer/lower.h */
export function writeLower(writer: WireWriter, lower: LowerLayer): void {
  if (lower.kind === 'directory') writer.u8(0).bytes(lower.path)
  else writer.u8(lower.backing === 'file' ? 1 : 2).bytes(lower.path).bytes(lower.tar).bytes(lower.held ?? '')
}
