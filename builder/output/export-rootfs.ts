import type { Writable } from 'node:stream'
import type { Task } from '../../core/task.ts'
import type { Platform } from '../../oci/platform.ts'
import { writeStream } from '../archive/archive-sink.ts'
import { checkPlatform } from '../check-platform.ts'
import type { Engine } from '../engine.ts'
import { findImage } from '../find-image.ts'
import { openImage } from '../transfer/portable-image.ts'
import { writeThere } from './no-room.ts'
import { writeOutputFile } from './output-file.ts'
import { rootfsTar, writeRootfs } from './rootfs.ts'

export interface RootfsRequest {
  /** A name or id. */
  readonly image: string
  /** Of several; default this machine's. */
  readonly platform: Platform | undefined
  readonly to: { readonly kind: 'stream'; readonly stream: Writable } | { readonly kind: 'file' | 'folder'; readonly path: string }
}

/**
 * Writes the root filesystem of an image as one tar, or into a folder as `writeRootfs` does.
 * @throws {ImageNotFound} {ImageUnavailable} when it has none for the platform {OutputConflict} {NoRoom}
 */
export async function exportRootfs({ store }: Engine, { image: name, platform, to }: RootfsRequest, task: Task): Promise<void> {
  const { config, chain } = await openImage(store, findImage(store, name), platform)
  checkPlatform(name, config, platform)
  const top = chain.at(-1)
  switch (to.kind) {
    case 'stream': return writeStream(to.stream, await rootfsTar(store, top, task))
    case 'file': return writeThere(to.path, async () => { await writeOutputFile(to.path, 0o644, await rootfsTar(store, top, task)) })
    case 'folder': return writeThere(to.path, () => writeRootfs(store, { top, folder: to.path }, task))
  }
}
