import { closeSync, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { BuildEvent } from '../events.ts'
import type { BuildProgress } from './build-progress.ts'
import type { BuildCommandLine, BuildRecord, RecordBounds } from './build-record.ts'
import { eventsFile, folderNames, pruneRecords, recordFile, recordsFolder, startTicks } from './build-record.ts'
import { toWire } from './wire-event.ts'

export interface RecorderOptions {
  readonly id: string
  readonly title: string
  readonly startedAtMs: number
  readonly command: BuildCommandLine | undefined
}

/** Some weeks of work: a fully cached build takes 10 KiB. */
const bounds: RecordBounds = { count: 200, bytes: 256 * 1024 * 1024 }
/** The sizes of 200 logs take a cached build 2 of its 90 ms: they are looked at once in so many builds, and after a log longer than its share. */
const buildsBetweenPruning = 16
const flushBytes = 64 * 1024
const flushMs = 1000

/**
 * Writes a build's record while it runs. Events are on disk within a second, or when 64 KiB of them have come. A record
 * helps to understand a build and decides nothing: it is not synced, and one that cannot be written costs the build nothing.
 */
export class Recorder {
  readonly #folder: string
  readonly #options: RecorderOptions
  readonly #root: string
  #fd: number | undefined
  #pending = ''
  #writtenBytes = 0
  #flushedAtMs = 0
  /** Why nothing is recorded any more. */
  failure: Error | undefined

  constructor(root: string, options: RecorderOptions) {
    this.#root = root
    this.#options = options
    this.#folder = join(recordsFolder(root), `${options.startedAtMs.toString(36).padStart(9, '0')}-${options.id}`)
    this.#attempt(() => {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
      this.#fd = openSync(join(this.#folder, eventsFile), 'ax', 0o600)
      this.#write({ ...this.#start(), endedAtMs: undefined, outcome: 'running', steps: { total: 0, cached: 0 }, image: undefined, error: undefined })
    })
  }

  handle(event: BuildEvent): void {
    if (this.failure !== undefined) return
    this.#pending += `${JSON.stringify(toWire(event))}\n`
    const now = Date.now()
    if (this.#pending.length > flushBytes || now - this.#flushedAtMs > flushMs) this.#attempt(() => this.#flush(now))
  }

  finish(progress: BuildProgress): void {
    const { finished, steps } = progress
    if (finished === undefined) return
    this.#attempt(() => {
      this.#flush(Date.now())
      this.#write({
        ...this.#start(), endedAtMs: finished.atMs, outcome: finished.outcome,
        steps: { total: steps.length, cached: steps.filter(({ state }) => state === 'cached').length },
        image: finished.image?.id, error: finished.error?.message,
      })
      if (this.#writtenBytes > bounds.bytes / bounds.count || folderNames(this.#root).length % buildsBetweenPruning === 0) pruneRecords(this.#root, bounds)
    })
    if (this.#fd !== undefined) closeSync(this.#fd)
  }

  #start(): Pick<BuildRecord, 'version' | 'id' | 'title' | 'startedAtMs' | 'command' | 'process'> {
    const { id, title, startedAtMs, command } = this.#options
    return { version: 1, id, title, startedAtMs, command, process: { pid: process.pid, startTicks: startTicks(process.pid) ?? '' } }
  }

  #flush(now: number): void {
    if (this.#fd === undefined) return
    const bytes = Buffer.from(this.#pending)
    this.#pending = ''
    this.#flushedAtMs = now
    this.#writtenBytes += bytes.length
    for (let written = 0; written < bytes.length;) written += writeSync(this.#fd, bytes, written)
  }

  #write(record: BuildRecord): void {
    const temporary = join(this.#folder, `.${recordFile}`)
    writeFileSync(temporary, `${JSON.stringify(record)}\n`, { mode: 0o600 })
    renameSync(temporary, join(this.#folder, recordFile))
  }

  #attempt(work: () => void): void {
    if (this.failure !== undefined) return
    try {
      work()
    } catch (error) {
      if (!(error instanceof Error && 'syscall' in error)) throw error
      this.failure = error
    }
  }
}
