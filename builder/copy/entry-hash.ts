import { createHash } from 'node:crypto'
import type { TreeEntry } from '../../storage/index.ts'

const textsAtOnce = 64 * 1024

interface HashedEntry {
  readonly relative: Buffer
  readonly entry: TreeEntry
  readonly xattrs: ReadonlyMap<string, Uint8Array>
}

/** A file without attributes that is root's. */
interface HashedFile {
  /** In Latin-1. */
  readonly relative: string
  readonly mode: number
  readonly sizeBytes: number
  /** Of one with several names. */
  readonly fileId: string | undefined
}

/** A digest over what makes the entries of a tree, in their order, equal in a changeset: times are left out. */
export class EntryHash {
  readonly #hash = createHash('sha256')
  readonly #firstOfFile = new Map<string, number>()
  #text = ''
  #count = 0

  /** `name` is what the tree is known by beside its entries, in Latin-1. */
  constructor(name: string) {
    this.#write(`${name.length}:${name}`)
  }

  /** `digest` is that of a file's content, and empty for anything else. */
  add({ relative, entry, xattrs }: HashedEntry, digest: string): void {
    const name = relative.toString('latin1')
    const { type, mode, uid, gid, sizeBytes, major, minor, nlink, fileId } = entry
    if (type === 'file' && nlink > 1 && this.#addLink(name, fileId)) return
    const target = entry.target?.toString('latin1') ?? ''
    const attributes = [...xattrs].map(([key, value]) => ` ${key.length}:${key} ${Buffer.from(value).toString('hex')}`).join('')
    this.#write(`${name.length}:${name}${type} ${mode} ${uid} ${gid} ${sizeBytes} ${major} ${minor} ${digest} ${target.length}:${target}${attributes}\n`)
    this.#count += 1
  }

  /** As `add`, faster. */
  addFile({ relative, mode, sizeBytes, fileId }: HashedFile, digest: string): void {
    if (fileId !== undefined && this.#addLink(relative, fileId)) return
    this.#write(`${relative.length}:${relative}file ${mode} 0 0 ${sizeBytes} 0 0 ${digest} 0:\n`)
    this.#count += 1
  }

  finish(): string {
    return `sha256:${this.#hash.update(this.#text, 'latin1').digest('hex')}`
  }

  /** Whether it is another name of a file that was added. */
  #addLink(relative: string, fileId: string): boolean {
    const first = this.#firstOfFile.get(fileId)
    if (first === undefined) {
      this.#firstOfFile.set(fileId, this.#count)
      return false
    }
    this.#write(`${relative.length}:${relative}link ${first}\n`)
    this.#count += 1
    return true
  }

  #write(text: string): void {
    this.#text += text
    if (this.#text.length < textsAtOnce) return
    this.#hash.update(this.#text, 'latin1')
    this.#text = ''
  }
}
