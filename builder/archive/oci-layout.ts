import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Task } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import { digestAlgorithm, digestHex, parseDigest } from '../../oci/digest.ts'
import type { ImageConfig } from '../../oci/image-config.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import { maxDocumentBytes } from '../../oci/json.ts'
import type { Manifest } from '../../oci/manifest.ts'
import { parseManifestDocument } from '../../oci/manifest.ts'
import type { Platform } from '../../oci/platform.ts'
import { formatPlatform } from '../../oci/platform.ts'
import { verifyBytes } from '../../oci/verify.ts'
import { selectPlatform } from '../../registry-client/index.ts'
import type { Store } from '../../storage/index.ts'
import { ImageUnavailable } from '../errors.ts'
import { ensureLayers } from '../transfer/image-layers.ts'

/** An image of a folder that is an OCI image layout. */
export interface LayoutImage {
  readonly folder: string
  readonly manifest: Manifest
  readonly descriptor: Descriptor
  readonly config: ImageConfig
}

const defaultTag = 'latest'
const refName = 'org.opencontainers.image.ref.name'

/**
 * Finds `oci-layout://FOLDER[:TAG][@DIGEST]`; without either the image tagged `latest`, or the only one there is. Every
 * document is checked against its digest.
 * @throws {ImageUnavailable} @throws {DigestMismatch}
 * @see image-spec image-layout.md
 */
export async function findLayoutImage(name: string, platform: Platform): Promise<LayoutImage> {
  const { folder, tag, digest } = parseName(name)
  if (!existsSync(join(folder, 'oci-layout'))) throw new ImageUnavailable(name, `"${folder}" is no OCI image layout`)
  const document = parseManifestDocument(readSmall(join(folder, 'index.json'), name), mediaTypes.ociIndex)
  if (document.kind !== 'index') throw new ImageUnavailable(name, 'its index.json is no index')
  const entries = document.index.manifests
  const entry = digest !== undefined
    ? entries.find((each) => each.digest === digest)
    : entries.find((each) => each.annotations?.[refName] === (tag ?? defaultTag)) ?? (tag === undefined && entries.length === 1 ? entries[0] : undefined)
  if (entry === undefined) throw new ImageUnavailable(name, `the layout has no image "${digest ?? tag ?? defaultTag}"`)
  return openEntry({ name, folder }, entry, platform)
}

/** Brings its layers into the store. */
export function pullFromLayout(store: Store, { folder, manifest, config }: LayoutImage, task: Task): Promise<void> {
  return ensureLayers(store, {
    layers: manifest.layers,
    diffIds: config.rootfs.diff_ids,
    maxConcurrent: 2,
    open: ({ blob, fromByte }) => createReadStream(blobPath(folder, blob), { start: fromByte }) as AsyncIterable<Uint8Array>,
    isWorthRetrying: () => false,
  }, task)
}

async function openEntry(layout: { readonly name: string; readonly folder: string }, entry: Descriptor, platform: Platform): Promise<LayoutImage> {
  const document = parseManifestDocument(await readDocument(layout, entry), entry.mediaType)
  if (document.kind === 'index') {
    const selected = selectPlatform(document.index, platform)
    if (selected === undefined) throw new ImageUnavailable(layout.name, `it has no image for ${formatPlatform(platform)}`)
    return openEntry(layout, selected, platform)
  }
  const config = parseImageConfig(await readDocument(layout, document.manifest.config))
  return { folder: layout.folder, manifest: document.manifest, descriptor: entry, config }
}

async function readDocument({ name, folder }: { readonly name: string; readonly folder: string }, blob: Descriptor): Promise<Uint8Array> {
  const bytes = readSmall(blobPath(folder, blob), name)
  const chunks: Uint8Array[] = []
  for await (const chunk of verifyBytes(once(bytes), blob)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function readSmall(path: string, name: string): Uint8Array {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats?.isFile() !== true) throw new ImageUnavailable(name, `the layout lacks "${path}"`)
  if (stats.size > maxDocumentBytes) throw new ImageUnavailable(name, `"${path}" has ${stats.size} bytes, more than ${maxDocumentBytes}`)
  return readFileSync(path)
}

function blobPath(folder: string, { digest }: Descriptor): string {
  return join(folder, 'blobs', digestAlgorithm(digest), digestHex(digest))
}

function parseName(name: string): { readonly folder: string; readonly tag: string | undefined; readonly digest: Descriptor['digest'] | undefined } {
  const text = name.slice('oci-layout://'.length)
  const at = text.lastIndexOf('@')
  const [path, digest] = at === -1 ? [text, undefined] : [text.slice(0, at), parseDigest(text.slice(at + 1))]
  const [, folder = path, tag] = /^(.*):([\w][\w.-]{0,127})$/u.exec(path) ?? []
  return { folder: resolve(folder), tag, digest }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve()
  yield bytes
}
