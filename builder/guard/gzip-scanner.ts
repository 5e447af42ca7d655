import { createGunzip } from 'node:zlib'
import type { SecretPattern } from './secret-patterns.ts'
import { SecretScanner } from './secret-search.ts'

/** Files begin at a multiple of this, each alone and all of them in a tar. */
const blockBytes = 512
const headBytes = 4
/** A member is searched until it took or gave so much. */
const mostOfMember = 8 * 1024 * 1024
const mostOfTree = 64 * 1024 * 1024
/** What it costs to look at one counts as much as inflating this. */
const costOfMember = 4096
/** One goes on from piece to piece, and what only looks like more of them must not take memory. */
const mostOpen = 4

/** How much is inflated for one tree, since a small file can hold a thousand times what it takes. */
export class GzipBudget {
  #leftBytes = mostOfTree
  /** Where more was compressed than was searched. */
  readonly cutPlaces = new Set<string>()

  get isSpent(): boolean {
    return this.#leftBytes <= 0
  }

  spend(bytes: number): void {
    this.#leftBytes -= bytes
  }
}

/** Searches what gzip members hold that begin where a file does, in bytes that come in pieces. */
export class GzipScanner {
  readonly found = new Set<SecretPattern>()
  /** Whether there was more than the bounds let it search. */
  isCut = false
  readonly #patterns: readonly SecretPattern[]
  readonly #budget: GzipBudget
  /** Those that may go on in what comes. */
  #open: GzipMember[] = []
  /** What came last, where it is too short to tell whether a member begins, and how much came before. */
  #rest: Buffer = Buffer.alloc(0)
  #offset = 0

  constructor(patterns: readonly SecretPattern[], budget: GzipBudget) {
    this.#patterns = patterns
    this.#budget = budget
  }

  async add(bytes: Uint8Array): Promise<void> {
    for (const member of this.#open) await member.write(bytes)
    this.#open = this.#open.filter(({ hasEnded }) => !hasEnded)
    const window = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    let at = (blockBytes - this.#offset % blockBytes) % blockBytes
    for (; at + headBytes <= window.length; at += blockBytes) if (isMember(window, at)) await this.#begin(window.subarray(at))
    const kept = at < window.length && at + headBytes > window.length ? window.subarray(at) : new Uint8Array(0)
    this.#offset += window.length - kept.length
    this.#rest = Buffer.from(kept)
  }

  /** Nothing more comes. */
  end(): void {
    for (const member of this.#open) member.close()
    this.#open = []
  }

  async #begin(bytes: Uint8Array): Promise<void> {
    if (this.#budget.isSpent) {
      this.isCut = true
      return
    }
    this.#budget.spend(costOfMember)
    const member = new GzipMember(this.#patterns, { found: this.found, budget: this.#budget, cut: () => { this.isCut = true } })
    await member.write(bytes)
    if (!member.hasEnded) this.#open.push(member)
    if (this.#open.length > mostOpen) this.#open.shift()?.cut()
  }
}

/** By deflate, and without flags that mean nothing yet. @see RFC 1952 "Member header and trailer" */
function isMember(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0x1f && bytes[at + 1] === 0x8b && bytes[at + 2] === 0x08 && (bytes[at + 3] ?? 0) < 0x20
}

class GzipMember {
  readonly #gunzip = createGunzip()
  readonly #onCut: () => void
  readonly #ended = Promise.withResolvers<undefined>()
  #leftToTake = mostOfMember
  #leftToGive = mostOfMember
  hasEnded = false

  constructor(patterns: readonly SecretPattern[], { found, budget, cut }: { readonly found: Set<SecretPattern>; readonly budget: GzipBudget; readonly cut: () => void }) {
    this.#onCut = cut
    const scanner = new SecretScanner(patterns)
    this.#gunzip.on('data', (bytes: Buffer) => {
      scanner.add(bytes)
      for (const pattern of scanner.found) found.add(pattern)
      budget.spend(bytes.length)
      this.#leftToGive -= bytes.length
      if (this.#leftToGive <= 0 || budget.isSpent) this.cut()
    })
    // What is no member after all, or a damaged one, holds nothing more that anybody could read.
    this.#gunzip.on('error', () => { this.close() }).on('end', () => { this.close() })
  }

  /** Until these bytes are searched, or nothing more is to be searched. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.hasEnded) return
    const taken = bytes.subarray(0, this.#leftToTake)
    this.#leftToTake -= taken.length
    const written = new Promise<void>((resolve) => { this.#gunzip.write(taken, () => { resolve() }) })
    await Promise.race([written, this.#ended.promise])
    if (this.#leftToTake === 0) this.cut()
  }

  /** There may be more of it. */
  cut(): void {
    if (this.hasEnded) return
    this.#onCut()
    this.close()
  }

  close(): void {
    this.hasEnded = true
    this.#ended.resolve(undefined)
    this.#gunzip.destroy()
  }
}
