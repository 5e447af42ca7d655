import { join } from 'node:path'
import type { Digest } from '../../oci/digest.ts'
import { digestAlgorithm, digestHex } from '../../oci/digest.ts'

/**
 * Every path of a store.
 * ```
 * /var/lib/tsbuild/
 *   version                     the format, one line
 *   state.db                    layers, images, cache entries, leases
 *   content/                    an OCI image layout: oci-layout, index.json, blobs/sha256/<hex>
 *   layers/4f/                  the tree of one layer, as an overlay lowerdir
 *   layers/4h, layers/4h.tar    or an EROFS index and the tar that it points into
 *   snapshots/4g/{fs,work}      a layer in the making
 *   incoming/<digest>           what has arrived of a blob, held by the process that fetches it
 *   sessions/<uuid>/            temporary files of one process, which holds a lock on the directory
 *   trash/                      what is to be deleted and nobody refers to
 *   mounts/<name>/              what RUN --mount=type=cache keeps between builds
 *   locks/<hash>                named locks
 *   quarantine/                 what fsck --repair found damaged
 *   reserve/                    room that is given back when the disk is full
 * ```
 */
export interface Layout {
  readonly root: string
  readonly version: string
  readonly database: string
  readonly content: string
  readonly layers: string
  readonly snapshots: string
  readonly incoming: string
  readonly sessions: string
  readonly trash: string
  readonly locks: string
  readonly mounts: string
  readonly quarantine: string
  readonly reserve: string
  blob(digest: Digest): string
  blobFolder(digest: Digest): string
  /** The directory of a layer, or its index. */
  layer(dir: string): string
  layerTar(dir: string): string
  snapshot(dir: string): string
  session(id: string): string
}

/** What `version` holds. A store of another format is refused. */
export const formatVersion = '1'

const tarSuffix = '.tar'

export function createLayout(root: string): Layout {
  const content = join(root, 'content')
  const layers = join(root, 'layers')
  const snapshots = join(root, 'snapshots')
  const sessions = join(root, 'sessions')
  const blobFolder = (digest: Digest): string => join(content, 'blobs', digestAlgorithm(digest))
  return {
    root,
    version: join(root, 'version'),
    database: join(root, 'state.db'),
    content,
    layers,
    snapshots,
    incoming: join(root, 'incoming'),
    sessions,
    trash: join(root, 'trash'),
    locks: join(root, 'locks'),
    mounts: join(root, 'mounts'),
    quarantine: join(root, 'quarantine'),
    reserve: join(root, 'reserve'),
    blob: (digest) => join(blobFolder(digest), digestHex(digest)),
    blobFolder,
    layer: (dir) => join(layers, dir),
    layerTar: (dir) => join(layers, `${dir}${tarSuffix}`),
    snapshot: (dir) => join(snapshots, dir),
    session: (id) => join(sessions, id),
  }
}

/** Which layer a name below layers/ belongs to. */
export function dirIdOfLayerName(name: string): string {
  return name.endsWith(tarSuffix) ? name.slice(0, -tarSuffix.length) : name
}

/** Short names keep a stack of several hundred lower directories within one page of mount options. */
export function formatDirId(number: number): string {
  return number.toString(36)
}

/** @returns undefined for a name that is none of ours */
export function parseDirId(name: string): number | undefined {
  const number = /^[0-9a-z]{1,10}$/u.test(name) ? Number.parseInt(name, 36) : undefined
  return number !== undefined && formatDirId(number) === name ? number : undefined
}
