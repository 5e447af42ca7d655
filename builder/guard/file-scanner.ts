import { readSync } from 'node:fs'
import type { Leak } from './leak.ts'
import { leaksAt } from './leak.ts'
import type { GzipBudget } from './gzip-scanner.ts'
import { GzipScanner } from './gzip-scanner.ts'
import type { SecretPattern } from './secret-patterns.ts'
import { SecretScanner } from './secret-search.ts'

const chunkBytes = 1024 * 1024

/** Searches what a file holds, or a tar, as it is and compressed by gzip. */
export class FileScanner implements Disposable {
  readonly #plain: SecretScanner
  readonly #gzip: GzipScanner
  readonly #budget: GzipBudget

  constructor(patterns: readonly SecretPattern[], budget: GzipBudget) {
    this.#plain = new SecretScanner(patterns)
    this.#gzip = new GzipScanner(patterns, budget)
    this.#budget = budget
  }

  async add(bytes: Uint8Array): Promise<void> {
    this.#plain.add(bytes)
    await this.#gzip.add(bytes)
  }

  /** What was found in what is called so; the budget learns whether it was searched whole. */
  leaks(place: string): Leak[] {
    if (this.#gzip.isCut) this.#budget.cutPlaces.add(place)
    return [...leaksAt(place, this.#plain.found), ...leaksAt(`${place}, compressed by gzip`, this.#gzip.found)]
  }

  [Symbol.dispose](): void {
    this.#gzip.end()
  }
}

/** Searches so many bytes of an open file from a place on. */
export async function scanOpenFile(fd: number, { place, start, sizeBytes }: { readonly place: string; readonly start: number; readonly sizeBytes: number }, { patterns, budget }: { readonly patterns: readonly SecretPattern[]; readonly budget: GzipBudget }): Promise<Leak[]> {
  using scanner = new FileScanner(patterns, budget)
  const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, Math.max(1, sizeBytes)))
  for (let done = 0; done < sizeBytes;) {
    const length = readSync(fd, chunk, 0, Math.min(chunk.length, sizeBytes - done), start + done)
    if (length === 0) break
    await scanner.add(chunk.subarray(0, length))
    done += length
  }
  return scanner.leaks(place)
}
