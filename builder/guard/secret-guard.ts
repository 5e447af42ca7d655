import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import type { Task } from '../../core/task.ts'
import type { ImageConfig } from '../../oci/image-config.ts'
import type { ChangesetEntry, FileContent } from '../../storage/index.ts'
import { PackedChangeset, packChangeset } from '../../storage/index.ts'
import { SecretLeaked } from './errors.ts'
import type { BuildPlan } from '../plan/plan.ts'
import { FileScanner, scanOpenFile } from './file-scanner.ts'
import { GzipBudget } from './gzip-scanner.ts'
import type { Leak } from './leak.ts'
import { maskText } from './log-mask.ts'
import { scanConfig, scanValue } from './scan-config.ts'
import { maxLeaks, scanBytes, scanDirectory } from './scan-directory.ts'
import type { SecretPattern } from './secret-patterns.ts'

/** Keeps the values of a build's secrets out of what the build keeps. */
export class SecretGuard {
  readonly patterns: readonly SecretPattern[]
  /** Secrets whose values are too short to be looked for. */
  readonly unguarded: readonly string[]
  readonly #cutPlaces = new Set<string>()

  constructor(patterns: readonly SecretPattern[], unguarded: readonly string[] = []) {
    this.patterns = patterns
    this.unguarded = unguarded
  }

  /** What a step wrote, before it becomes a layer. @throws {SecretLeaked} */
  async checkDirectory(path: string, task: Task): Promise<void> {
    if (this.patterns.length === 0) return
    const budget = new GzipBudget()
    refuse(await scanDirectory(path, { patterns: this.patterns, budget }, task.signal))
    for (const place of budget.cutPlaces) this.#cutPlaces.add(place)
  }

  /** Where gzip had compressed more than was searched. */
  get cutPlaces(): readonly string[] {
    return [...this.#cutPlaces]
  }

  /** The changeset of a COPY, which ends with SecretLeaked, and so becomes no layer, when it holds a secret. */
  changeset(entries: readonly ChangesetEntry[], task: Task): PackedChangeset {
    const packed = packChangeset(entries, task)
    return this.patterns.length === 0 ? packed : new PackedChangeset(this.#checked(packed, entries), { entries: entries.length })
  }

  /** @throws {SecretLeaked} */
  checkConfig(config: ImageConfig): void {
    if (this.patterns.length > 0) refuse(scanConfig(config, this.patterns))
  }

  /** The Dockerfile, whose text goes into the image's history and onto the screen. @throws {SecretLeaked} */
  checkText(name: string, text: string): void {
    if (this.patterns.length === 0) return
    refuse(text.split('\n').flatMap((line, index) => scanBytes(`${name}, line ${index + 1}`, [Buffer.from(line)], this.patterns)))
    refuse(scanBytes(name, [Buffer.from(text)], this.patterns))
  }

  /** What steps are made of, variables expanded: it goes into cache records and history. @throws {SecretLeaked} */
  checkPlan({ nodes, labels }: BuildPlan): void {
    if (this.patterns.length === 0) return
    refuse([...nodes].flatMap(([id, node]) => {
      const label = labels.get(id)
      return scanValue(label === undefined ? 'a step' : `step ${label.step}/${label.steps} of ${label.stage}`, node, this.patterns)
    }))
  }

  mask(text: string): string {
    return maskText(text, this.patterns)
  }

  async *#checked(packed: AsyncIterable<Uint8Array>, entries: readonly ChangesetEntry[]): AsyncGenerator<Uint8Array, void, undefined> {
    const budget = new GzipBudget()
    using scanner = new FileScanner(this.patterns, budget)
    for await (const bytes of packed) {
      await scanner.add(bytes)
      yield bytes
    }
    const leaks = scanner.leaks('a copied file')
    if (leaks.length === 0 && budget.cutPlaces.size === 0) return
    const located = await locate(entries, this.patterns)
    if (leaks.length > 0) refuse(located.leaks, leaks)
    for (const place of located.cutPlaces.size > 0 ? located.cutPlaces : budget.cutPlaces) this.#cutPlaces.add(place)
  }
}

/** `otherwise` is what is said when nothing more exact is known. */
function refuse(leaks: readonly Leak[], otherwise: readonly Leak[] = []): void {
  const all = leaks.length > 0 ? leaks : otherwise
  if (all.length > 0) throw new SecretLeaked(all.slice(0, maxLeaks))
}

async function locate(entries: readonly ChangesetEntry[], patterns: readonly SecretPattern[]): Promise<{ readonly leaks: readonly Leak[]; readonly cutPlaces: ReadonlySet<string> }> {
  const leaks: Leak[] = []
  const budget = new GzipBudget()
  for (const entry of entries) {
    const place = maskText(`/${entry.path.toString()}`, patterns)
    leaks.push(...scanBytes(`name of "${place}"`, [entry.path], patterns))
    if (entry.type === 'symlink') leaks.push(...scanBytes(`link target of "${place}"`, [entry.target], patterns))
    if (entry.type === 'file') leaks.push(...await scanContent(`file "${place}"`, entry.content, { patterns, budget }))
  }
  return { leaks, cutPlaces: budget.cutPlaces }
}

async function scanContent(place: string, content: FileContent, search: { readonly patterns: readonly SecretPattern[]; readonly budget: GzipBudget }): Promise<Leak[]> {
  if (content.kind === 'bytes') {
    using scanner = new FileScanner(search.patterns, search.budget)
    await scanner.add(content.bytes)
    return scanner.leaks(place)
  }
  const fd = openSync(content.kind === 'host' ? Buffer.concat([Buffer.from(join(content.root, '/')), content.path]) : content.file, 'r')
  try {
    return await scanOpenFile(fd, { place, start: content.kind === 'range' ? content.offset : 0, sizeBytes: content.sizeBytes }, search)
  } finally {
    closeSync(fd)
  }
}
