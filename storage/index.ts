export type { CacheRecord, CacheRecords, ContentStore, BlobInfo, ImageStore, IncomingLayer, OpenBlob, Store, StoredImage } from './store.ts'
export type { Layer, LayerStore, LowerLayer, OverlayRootfs, RootfsView, Snapshot, TreeEntry } from './layer-store.ts'
export type { OpenOptions } from './open-store.ts'
export { openStore } from './open-store.ts'
export { decompress } from './compression/decompress.ts'
export type { ChangesetEntry, EntryMetadata, FileContent } from './layer/changeset/changeset-entry.ts'
export { compareEntryPaths } from './layer/changeset/changeset-entry.ts'
export { PackedChangeset, packChangeset } from './layer/changeset/pack-changeset.ts'
export { readXattrs } from './layer/root-metadata.ts'
export type { GcOptions, GcReport } from './upkeep/gc.ts'
export { gc } from './upkeep/gc.ts'
export type { Check, Finding } from './upkeep/finding.ts'
export type { FsckReport } from './upkeep/fsck.ts'
export { fsck } from './upkeep/fsck.ts'
export type { ArchiveRule, TreeRule } from './tree/rules.ts'
export {
  AmbiguousId, BlobMissing, DiffIdMismatch, HelperDied, HostileArchive, ImageIncomplete, LayerDamaged, LayerMissing, LinkLoop, MalformedCompression,
  NotOurStore, SourceChanged, StorageFull, StoreBusy, StoreTooNew, StreamTooLarge, TreeFailure, UnexpectedEntry, Unrepresentable,
} from './errors.ts'
