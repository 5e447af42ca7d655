import { randomUUID } from 'node:crypto'
import { createReadStream, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from '../../../core/errors.ts'
import type { Task } from '../../../core/task.ts'
import type { Descriptor } from '../../../oci/descriptor.ts'
import { mediaTypes } from '../../../oci/descriptor.ts'
import { digestHex, sha256 } from '../../../oci/digest.ts'
import { maxDocumentBytes } from '../../../oci/json.ts'
import { encodeDocument, parseManifestDocument } from '../../../oci/manifest.ts'
import { verifyBytes } from '../../../oci/verify.ts'
import { makeOutputFolder } from '../../output/output-file.ts'

const refName = 'org.opencontainers.image.ref.name'

/** An OCI image layout that several processes may write to: blobs and the index come to be by being renamed. */
export class LayoutFolder {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** The manifest with this tag. */
  find(tag: string): Descriptor | undefined {
    return this.#entries().find(({ annotations }) => annotations?.[refName] === tag)
  }

  has(blob: Descriptor): boolean {
    return statSync(this.#blob(blob), { throwIfNoEntry: false })?.size === blob.size
  }

  /** Throws at the end unless size and digest match. */
  read(blob: Descriptor, task: Task): AsyncIterable<Uint8Array> {
    return verifyBytes(createReadStream(this.#blob(blob), { signal: task.signal }) as AsyncIterable<Uint8Array>, blob)
  }

  async readDocument(blob: Descriptor, task: Task): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    for await (const chunk of this.read({ ...blob, size: Math.min(blob.size, maxDocumentBytes) }, task)) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  /** Also where a blob of this name and size is there. */
  async put(blob: Descriptor, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    this.#prepare()
    const path = this.#blob(blob)
    const temporary = `${path}.${randomUUID()}`
    try {
      await writeFileFrom(temporary, bytes)
      renameSync(temporary, path)
    } finally {
      rmSync(temporary, { force: true })
    }
  }

  /** Puts the manifest there and points the tag to it. What others write at the same moment under other tags may get lost, nothing else. */
  async tag(tag: string, manifest: { readonly bytes: Uint8Array; readonly mediaType: string }): Promise<Descriptor> {
    const descriptor: Descriptor = { mediaType: manifest.mediaType, digest: sha256(manifest.bytes), size: manifest.bytes.byteLength, annotations: { [refName]: tag } }
    if (!this.has(descriptor)) await this.put(descriptor, once(manifest.bytes))
    const manifests = [...this.#entries().filter(({ annotations }) => annotations?.[refName] !== tag), descriptor]
    const path = join(this.#folder, 'index.json')
    const temporary = `${path}.${randomUUID()}`
    writeFileSync(temporary, encodeDocument({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }), { flush: true })
    renameSync(temporary, path)
    return descriptor
  }

  #entries(): readonly Descriptor[] {
    try {
      const document = parseManifestDocument(readFileSync(join(this.#folder, 'index.json')), mediaTypes.ociIndex)
      return document.kind === 'index' ? document.index.manifests : []
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return []
      throw error
    }
  }

  #prepare(): void {
    const marker = join(this.#folder, 'oci-layout')
    if (existsSync(marker)) return
    makeOutputFolder(this.#folder)
    mkdirSync(join(this.#folder, 'blobs', 'sha256'), { recursive: true })
    writeFileSync(marker, '{"imageLayoutVersion":"1.0.0"}')
  }

  #blob({ digest }: Descriptor): string {
    return join(this.#folder, 'blobs', digest.slice(0, digest.indexOf(':')), digestHex(digest))
  }
}

async function writeFileFrom(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, 'wx', 0o644)
  try {
    for await (const chunk of bytes) await file.writeFile(chunk)
    await file.datasync()
  } finally {
    await file.close()
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve()
  yield bytes
}
