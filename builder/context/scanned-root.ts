import { getSystemErrorMessage, getSystemErrorName } from 'node:util'
import type { FileContent, FolderListing, TreeEntry } from '../../storage/index.ts'
import { readXattr } from '../../storage/index.ts'
import { contentDigest } from '../copy/content-digest.ts'
import { EntryHash } from '../copy/entry-hash.ts'
import { joinPath } from '../copy/select.ts'
import type { ScannedRoot, WalkedEntry } from '../copy/walk.ts'
import { ContextUnreadable } from './errors.ts'
import type { FileDigests } from './file-digests.ts'
import { youngestKeptNs } from './file-digests.ts'

/** A directory of a context, or one file in it, as it was read. */
export interface ScannedFolder {
  /** In the context. */
  readonly path: Buffer
  readonly listing: FolderListing
  /** False when only one name was asked for. */
  readonly isWhole: boolean
  /** The records of what the context shows. */
  readonly starts: readonly number[]
  /** By the record of each directory that was read. */
  readonly inside: ReadonlyMap<number, ScannedFolder>
}

/** What the files of a context have in common. */
export interface ScanPlace {
  /** The context's folder on the host. */
  readonly root: string
  readonly hostPath: (path: Buffer) => Buffer
  readonly digests: FileDigests | undefined
}

/** The only attribute a context keeps. */
export const capabilityXattr = 'security.capability'
const nothing = Buffer.alloc(0)
const slash = Buffer.from('/')
const noXattrs: ReadonlyMap<string, Buffer> = new Map()

/** A directory with all it holds. Entries are made when somebody asks for them: its digest, all that a cached step needs, comes from the records alone. */
export class ScannedDirectory implements ScannedRoot {
  readonly #place: ScanPlace
  readonly #top: WalkedEntry
  readonly #folder: ScannedFolder
  #entries: WalkedEntry[] | undefined

  constructor(place: ScanPlace, top: WalkedEntry, folder: ScannedFolder) {
    this.#place = place
    this.#top = top
    this.#folder = folder
  }

  entries(): readonly WalkedEntry[] {
    this.#entries ??= [this.#top, ...listEntries(this.#place, this.#folder, nothing)]
    return this.#entries
  }

  async digest(): Promise<string> {
    await takeDigests(this.#place, this.#folder)
    const hash = new EntryHash('')
    hash.add(this.#top, '')
    addFolder(hash, this.#place, { folder: this.#folder, prefix: '' })
    return hash.finish()
  }
}

/** One file that is a root of its own. */
export class ScannedFile implements ScannedRoot {
  readonly #place: ScanPlace
  readonly #folder: ScannedFolder

  constructor(place: ScanPlace, folder: ScannedFolder) {
    this.#place = place
    this.#folder = folder
  }

  entries(): readonly WalkedEntry[] {
    return listEntries(this.#place, this.#folder, nothing).map((walked) => ({ ...walked, relative: nothing }))
  }

  async digest(name: Buffer): Promise<string> {
    await takeDigests(this.#place, this.#folder)
    const hash = new EntryHash(name.toString('latin1'))
    for (const walked of this.entries()) hash.add(walked, walked.digest?.() ?? '')
    return hash.finish()
  }
}

/** @throws {ContextUnreadable} for a record of what could not be examined */
export function checkRecord({ path, listing }: Pick<ScannedFolder, 'path' | 'listing'>, start: number): void {
  const errno = listing.error(start)
  if (errno === 0) return
  const cause = Object.assign(new Error(getSystemErrorMessage(-errno)), { errno: -errno, code: getSystemErrorName(-errno) })
  throw new ContextUnreadable(joinPath(path, listing.name(start)).toString(), 'it cannot be examined', { cause })
}

async function takeDigests(place: ScanPlace, folder: ScannedFolder): Promise<void> {
  const { path, listing, starts, inside, isWhole } = folder
  const unknown = starts.filter((start) => listing.type(start) === 'file' && listing.digest(start) === undefined)
  const take = async (): Promise<void> => {
    if (unknown.length === 0) return
    const keptBeforeNs = youngestKeptNs()
    const isAnyKept = await listing.takeDigests(unknown, keptBeforeNs).catch((error: unknown) => { throw unreadable(place, error) })
    if (isAnyKept) place.digests?.keep(path, listing, isWhole)
  }
  await Promise.all([take(), ...[...inside.values()].map((below) => takeDigests(place, below))])
}

function unreadable({ root }: ScanPlace, error: unknown): unknown {
  if (!(error instanceof Error) || !('path' in error)) return error
  return new ContextUnreadable(String(error.path).slice(root === '/' ? 0 : root.length), 'it cannot be read', { cause: error })
}

interface Walk { readonly folder: ScannedFolder; readonly prefix: string }

function addFolder(hash: EntryHash, place: ScanPlace, { folder, prefix }: Walk): void {
  const { path, listing, starts, inside } = folder
  for (const start of starts) {
    const relative = prefix + listing.nameText(start, 'latin1')
    if (listing.type(start) === 'file' && !listing.hasCapability(start)) {
      const isLinked = listing.links(start) > 1
      hash.addFile({ relative, mode: listing.mode(start), sizeBytes: listing.sizeBytes(start), fileId: isLinked ? listing.fileId(start) : undefined }, takenDigest(listing, start))
    } else {
      const walked = entryAt(place, folder, { start, relative: Buffer.from(relative, 'latin1'), path: joinPath(path, listing.name(start)) })
      if (walked !== undefined) hash.add(walked, walked.digest?.() ?? '')
    }
    const below = inside.get(start)
    if (below !== undefined) addFolder(hash, place, { folder: below, prefix: `${relative}/` })
  }
}

function takenDigest(listing: FolderListing, start: number): string {
  const digest = listing.digest(start)
  if (digest === undefined) throw new TypeError('a file has no digest after all were taken')
  return digest
}

function listEntries(place: ScanPlace, folder: ScannedFolder, above: Buffer): WalkedEntry[] {
  const { path, listing, starts, inside } = folder
  return starts.flatMap((start) => {
    const name = listing.name(start)
    const relative = above.length === 0 ? name : Buffer.concat([above, slash, name])
    const walked = entryAt(place, folder, { start, relative, path: joinPath(path, name) })
    const below = inside.get(start)
    if (walked === undefined) return []
    return below === undefined ? [walked] : [walked, ...listEntries(place, below, relative)]
  })
}

/** undefined for a socket, which no changeset can hold. */
function entryAt(place: ScanPlace, folder: ScannedFolder, { start, relative, path }: { readonly start: number; readonly relative: Buffer; readonly path: Buffer }): WalkedEntry | undefined {
  const { listing } = folder
  const entry = listing.entry(start)
  if (entry.type === 'socket') return undefined
  const xattrs = listing.hasCapability(start) ? readCapability(place.hostPath(path)) : noXattrs
  if (entry.type !== 'file') return { relative, path, entry, xattrs }
  const content = hostFile(place, path, entry)
  return { relative, path, entry, xattrs, content, digest: () => listing.digest(start) ?? takeDigest(place, folder, { start, content }) }
}

function takeDigest({ digests }: ScanPlace, { path, listing, isWhole }: ScannedFolder, { start, content }: { readonly start: number; readonly content: FileContent }): string {
  const keptBeforeNs = youngestKeptNs()
  const digest = contentDigest(content)
  if (listing.setDigest(start, digest, keptBeforeNs)) digests?.keep(path, listing, isWhole)
  return digest
}

export function readCapability(hostPath: Buffer): ReadonlyMap<string, Buffer> {
  const value = readXattr(hostPath, capabilityXattr)
  return value === undefined ? noXattrs : new Map([[capabilityXattr, value]])
}

export function hostFile({ root }: Pick<ScanPlace, 'root'>, path: Buffer, { sizeBytes }: TreeEntry): FileContent {
  return { kind: 'host', root, path: path.subarray(1), sizeBytes }
}
