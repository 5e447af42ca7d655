import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isErrno } from '../core/errors.ts'
import { createTask, silent } from '../core/task.ts'
import { getAddon } from '../native/index.ts'
import { hashBy } from '../oci/digest.ts'
import { BlobStore } from './content-store.ts'
import { DriverUnavailable } from './errors.ts'
import { StorageFull } from './root/errors.ts'
import type { AskedPolicy, FormatChoice } from './erofs/choose-format.ts'
import { chooseFormat, knownSupport, parsePolicy } from './erofs/choose-format.ts'
import { ErofsFormat } from './erofs/erofs-format.ts'
import type { ErofsBacking } from './erofs/erofs-support.ts'
import { notTried, requireBacking, toMountStored } from './erofs/erofs-support.ts'
import { HeldImages } from './erofs/held-images.ts'
import { LayerVerifier } from './erofs/layer-verifier.ts'
import type { DriverChoice, StorageDriverName } from './layer/choose-driver.ts'
import { chooseDriver } from './layer/choose-driver.ts'
import { LayerIntake } from './layer/ingest-layer.ts'
import { LayerBlobs, readForm } from './layer/layer-blobs.ts'
import { LayerRecords } from './layer/layer-records.ts'
import { LayerSync } from './layer/layer-sync.ts'
import { LowerLayers } from './layer/lower-layers.ts'
import { MixedFormat } from './layer/mixed-format.ts'
import { OverlayDriver } from './layer/overlay-driver.ts'
import { OverlayFormat } from './layer/overlay-format.ts'
import { StackedLayers } from './layer/stacked-layers.ts'
import { VfsDriver } from './layer/vfs-driver.ts'
import { CacheMountDirectories } from './mounts/cache-mounts.ts'
import { FileDigestTable } from './records/file-digests.ts'
import { CacheEntries } from './records/cache-entries.ts'
import type { Database } from './records/database.ts'
import { openDatabase, readText } from './records/database.ts'
import { Images } from './records/images.ts'
import { restoreIndex, writeIndex } from './records/index-json.ts'
import { createFolders } from './root/create-folders.ts'
import type { Layout } from './root/layout.ts'
import { createLayout } from './root/layout.ts'
import { takeLock } from './root/lock.ts'
import { buryDeadSessions, Session } from './root/session.ts'
import { setParts } from './store-parts.ts'
import type { Store } from './store.ts'
import type { OverlayXattrs } from './tree/tree-helper.ts'
import { removeTrees } from './tree/upkeep-trees.ts'
import { releaseReserveIfFull } from './upkeep/reserve.ts'

export interface OpenOptions {
  /** For work that makes room, gc above all: gives the reserve back first when the filesystem is full. */
  readonly mayUseReserve?: boolean
  /** How new layers are kept, else as TSBUILD_LAYER_FORMAT says, else as the store was converted to, else `auto`. */
  readonly format?: AskedPolicy
  /** How snapshots are made, else what TSBUILD_STORAGE_DRIVER says, else what this machine can. */
  readonly driver?: StorageDriverName
  /** Whether tars are compared with their diffIDs before their first mount since boot; else what TSBUILD_VERIFY_LAYERS=1 says. */
  readonly verifiesLayers?: boolean
}

interface OpenedRoot {
  readonly layout: Layout
  readonly database: Database
  readonly verifiesLayers: boolean
  readonly driver: DriverChoice
}

/**
 * Opens the store at `root`, making it when nothing is there. What processes that are gone left behind is put aside.
 * @throws {StoreTooNew} @throws {NotOurStore} @throws {StoreUnusable} @throws {StoreBusy} @throws {StorageFull} @throws {FormatUnavailable} @throws {DriverUnavailable}
 */
export async function openStore(root: string, options: OpenOptions = {}): Promise<Store> {
  hashBy((bytes) => getAddon().sha256(bytes))
  const layout = createLayout(resolve(root))
  createFolders(layout)
  if (options.mayUseReserve === true) releaseReserveIfFull(layout)
  const database = openDatabase(layout.root, layout.database)
  try {
    const verifiesLayers = options.verifiesLayers ?? process.env['TSBUILD_VERIFY_LAYERS'] === '1'
    const driver = await chooseDriver(layout.snapshots, options.driver ?? (process.env['TSBUILD_STORAGE_DRIVER'] || undefined))
    return assemble({ layout, database, verifiesLayers, driver }, await chooseFormat(database, layout.trash, options.format ?? formatOfEnvironment()))
  } catch (error) {
    database.close()
    throw error
  }
}

function formatOfEnvironment(): AskedPolicy | undefined {
  const word = process.env['TSBUILD_LAYER_FORMAT']
  return word === undefined || word === '' ? undefined : parsePolicy(word)
}

function assemble({ layout, database, verifiesLayers, driver }: OpenedRoot, formatChoice: FormatChoice): Store {
  const hasBuried = readdirSync(layout.sessions).length > 0 && buryDeadSessions(layout, database, undefined) > 0
  restoreIndex(layout, database)
  const session = new Session(layout, database)
  const blobs = new BlobStore(layout, database, session)
  const layerBlobs = new LayerBlobs(database, blobs)
  const records = new LayerRecords(layout, database, session)
  const cache = new CacheEntries({ database, session, layers: records })
  const sync = new LayerSync({ layout, session, records, cache })
  const xattrs = readOverlayXattrs(layout, database)
  const held = new HeldImages()
  const backing = (): ErofsBacking => requireBacking(toMountStored(formatChoice.erofs ?? knownSupport(database, layout.trash) ?? notTried))
  const lowers = new LowerLayers(layout, xattrs, { backing, held })
  const verifier = verifiesLayers ? new LayerVerifier(layout, database) : undefined
  const overlay = new OverlayFormat({ layout, session, records, layerBlobs, lowers, xattrs })
  const erofs = new ErofsFormat({ layout, session, records, lowers })
  const context = { layout, records, blobs, layerBlobs, lowers, format: new MixedFormat({ overlay, erofs, policy: formatChoice.policy }), verifier }
  const vfs = new VfsDriver(context, { session, xattrs })
  const overlays = driver.driver === 'vfs' ? undefined : new OverlayDriver(context, { session, xattrs, program: driver.driver === 'fuse-overlayfs' ? driver.program : undefined }, vfs)
  const layers = new StackedLayers(context, overlays ?? vfs, sync)
  const intake = new LayerIntake(context)
  const close = async (): Promise<void> => {
    try {
      await withRoom(layout, () => sync.run(createTask()))
    } finally {
      overlays?.close()
      held.close()
      const mayHaveTrash = session.id !== undefined || hasBuried
      try {
        await withRoom(layout, () => { session.end() })
      } finally {
        database.close()
        if (mayHaveTrash) await emptyTrash(layout)
      }
    }
  }
  let closed: Promise<void> | undefined
  const store: Store = {
    root: layout.root,
    content: blobs,
    layers,
    images: new Images({ layout, database, session, blobs, layers: records }),
    cache,
    fileDigests: new FileDigestTable(database),
    mounts: new CacheMountDirectories({ layout, database, session, xattrs }),
    ingestLayer: (layer, task) => intake.ingest(layer, task),
    layerBlob: async (chainId, form, task) => {
      const layer = records.get(chainId)
      const { compression, level } = readForm(form)
      const found = layerBlobs.find(layer.diffId, form)
      if (found !== undefined) return found
      if (compression === 'gzip') return layerBlobs.createGzip({ layer, level, pour: (read) => layers.pour(chainId, read, silent(task)) }, task)
      return layerBlobs.create(layer.diffId, form, layers.changeset(chainId, silent(task)))
    },
    lock: (name, { exclusive }, task) => takeLock(layout, { name, exclusive }, task),
    [Symbol.asyncDispose]: () => closed ??= close(),
  }
  setParts(store, { layout, database, session, blobs, layers: records, layerBlobs, lowers, verifier, format: context.format, formats: { overlay, erofs }, formatChoice, driver })
  return store
}

/** What fills the disk may be what failed work left, which lies in the trash. */
async function withRoom(layout: Layout, work: () => Promise<void> | void): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof StorageFull)) throw error
    await emptyTrash(layout)
    await work()
  }
}

async function emptyTrash(layout: Layout): Promise<void> {
  const names = readdirSync(layout.trash)
  await removeTrees(layout.root, names.map((name) => join(layout.trash, name)), createTask())
}

/** Decided once for a store: a user namespace may not set trusted attributes. */
function readOverlayXattrs(layout: Layout, database: Database): OverlayXattrs {
  const stored = database.get("SELECT value FROM settings WHERE name = 'overlay-xattrs'")
  if (stored !== undefined) return readText(stored, 'value') === 'user' ? 'user' : 'trusted'
  const probed = probeOverlayXattrs(layout)
  database.transaction('durable', () => {
    database.run("INSERT OR IGNORE INTO settings VALUES ('overlay-xattrs', ?)", probed)
    writeIndex(layout, database)
  })
  return probed
}

function probeOverlayXattrs(layout: Layout): OverlayXattrs {
  try {
    getAddon().setXattr(layout.layers, 'trusted.overlay.probe', Buffer.from('y'))
    return 'trusted'
  } catch (error) {
    if (isErrno(error, 'EPERM')) return 'user'
    if (isErrno(error, 'ENOTSUP', 'EOPNOTSUPP')) throw new DriverUnavailable('overlay', `the filesystem of "${layout.root}" has no extended attributes; keep the store on ext4, xfs, btrfs or tmpfs`)
    throw error
  }
}
