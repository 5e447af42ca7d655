import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { BuildAmbiguous, BuildNotFound } from './errors.ts'
import type { WireEvent } from './wire-event.ts'

/** How a build was asked for on a command line, so that it can be asked for again. */
export interface BuildCommandLine {
  readonly args: readonly string[]
  readonly cwd: string
}

/** What is kept of a build beside its events. */
export interface BuildRecord {
  readonly version: 1
  readonly id: string
  /** What was built: the image's first name, else the context. */
  readonly title: string
  readonly startedAtMs: number
  /** undefined of a build that still runs, or whose process died. */
  readonly endedAtMs: number | undefined
  readonly outcome: 'running' | 'lost' | 'succeeded' | 'failed' | 'canceled'
  readonly steps: { readonly total: number; readonly cached: number }
  readonly image: string | undefined
  readonly error: string | undefined
  /** undefined when a program asked for it. */
  readonly command: BuildCommandLine | undefined
  readonly process: { readonly pid: number; readonly startTicks: string }
}

/**
 * Records lie in `builds/` below the store's root, a folder each: `record.json`, rewritten at the end, and `events.jsonl`,
 * which grows while the build runs. The folder's name begins with the time, so names sort by age.
 */
export function recordsFolder(root: string): string {
  return join(root, 'builds')
}

export const recordFile = 'record.json'
export const eventsFile = 'events.jsonl'

/** Newest first. */
export function listBuilds(root: string): BuildRecord[] {
  return folderNames(root).reverse().flatMap((name) => {
    const record = readRecord(join(recordsFolder(root), name))
    return record === undefined ? [] : [record]
  })
}

/** By id, by a unique beginning of it, by what a metadata file calls it, or `latest`. @throws {BuildNotFound} @throws {BuildAmbiguous} */
export function getBuild(root: string, id: string): BuildRecord {
  const record = readRecord(buildFolder(root, id))
  if (record === undefined) throw new BuildNotFound(id)
  return record
}

/** What the build told, in order. A line that the death of the process cut short is left out. @throws {BuildNotFound} */
export function readBuildEvents(root: string, id: string): WireEvent[] {
  const lines = readFileSync(join(buildFolder(root, id), eventsFile), 'utf8').split('\n')
  lines.pop()
  return lines.map((line) => JSON.parse(line) as WireEvent)
}

/** Where the record of a build lies. @throws {BuildNotFound} @throws {BuildAmbiguous} */
export function buildFolder(root: string, id: string): string {
  return join(recordsFolder(root), findFolder(root, id))
}

function findFolder(root: string, id: string): string {
  const names = folderNames(root)
  const beginning = id.slice(id.lastIndexOf('/') + 1)
  const found = id === 'latest' ? names.slice(-1) : names.filter((name) => name.slice(name.indexOf('-') + 1).startsWith(beginning) && beginning !== '')
  const [first, second] = found
  if (first === undefined) throw new BuildNotFound(id)
  if (second !== undefined) throw new BuildAmbiguous(id, found.length)
  return first
}

/** Oldest first. */
export function folderNames(root: string): string[] {
  try {
    return readdirSync(recordsFolder(root)).filter((name) => /^[0-9a-z]{9}-[0-9a-f]{12}$/u.test(name)).sort()
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}

/** undefined when another process has just removed it. */
function readRecord(folder: string): BuildRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(join(folder, recordFile), 'utf8')) as BuildRecord
    return record.outcome === 'running' && startTicks(record.process.pid) !== record.process.startTicks ? { ...record, outcome: 'lost' } : record
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

/** With the pid, what tells a process from a later one of the same number; undefined when there is none. */
export function startTicks(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return undefined
    throw error
  }
}

export interface RecordBounds {
  readonly count: number
  readonly bytes: number
}

/** Removes the oldest records until both bounds hold; the newest stays, however long its log is. */
export function pruneRecords(root: string, bounds: RecordBounds): void {
  let bytes = 0
  for (const [index, name] of folderNames(root).reverse().entries()) {
    const folder = join(recordsFolder(root), name)
    bytes += sizeOf(join(folder, eventsFile))
    if (index > 0 && (index >= bounds.count || bytes > bounds.bytes)) rmSync(folder, { recursive: true, force: true })
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
