import { closeSync, statfsSync } from 'node:fs'
import type { Task } from '../../core/task.ts'
import type { HelperExit, HelperReport, PipeReader } from '../../native/index.ts'
import { getAddon, HelperFailure, readPipe, startHelper, WireReader, writePipe } from '../../native/index.ts'
import { StorageFull } from '../root/errors.ts'
import { HelperDied, HostileArchive, SourceChanged, TreeFailure, Unrepresentable } from './errors.ts'
import { findRule, isArchiveRule } from './rules.ts'

/** How overlayfs marks deleted and opaque: `user` in a user namespace. */
export type OverlayXattrs = 'trusted' | 'user'

/** A mode of native/helper/tree/ at work. */
export interface TreeMode {
  readonly mode: string
  readonly request: Uint8Array
  /** Completes "cannot … PATH". */
  readonly doing: string
  /** Where the store lies: what is full when the disk is. */
  readonly root: string
}

/** What a mode answers, by the kinds of native/helper/tree/base/record.h. */
export interface TreeAnswer {
  /** The payload of each `done` record, in order. */
  readonly done: readonly Uint8Array[]
  /** Set when the layers below are needed for this path. */
  readonly needsLowers: Buffer | undefined
}

/** Modes that are given an archive; the others are to make one. */
const readsArchive = ['unpack', 'index']
const doneKind = 1
const refusedKind = 2
const needsLowersKind = 3
const pipeBytes = 1024 * 1024

/** Runs a mode that is fed through its stdin. `input` is consumed, or let be when the mode ends first. */
export async function feedTreeMode(work: TreeMode, input: AsyncIterable<Uint8Array>, task: Task): Promise<TreeAnswer> {
  task.signal.throwIfAborted()
  const [readFd, writeFd] = getAddon().pipe(pipeBytes)
  const run = start(work, { stdin: readFd, stdout: -1 }, task)
  try {
    await untilAborted(writePipe(writeFd, input), task.signal)
  } catch (error) {
    await run.stop()
    throw error
  }
  return run.answer()
}

/** Runs a mode that answers on its stdout, and hands that out; the answer comes as the generator's return value. */
export async function* readTreeMode(work: TreeMode, task: Task, input?: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, TreeAnswer, undefined> {
  const writing = startWriting(work, task, input)
  let isWhole = false
  try {
    yield* readPipe(writing.readFd)
    isWhole = true
  } finally {
    if (!isWhole) await writing.run.stop()
  }
  return endWriting(writing)
}

/** The same, with all that comes read by somebody else. */
export async function pourTreeMode(work: TreeMode, { read, input }: { readonly read: PipeReader; readonly input?: AsyncIterable<Uint8Array> }, task: Task): Promise<TreeAnswer> {
  const writing = startWriting(work, task, input)
  try {
    await read(writing.readFd)
  } catch (error) {
    await writing.run.stop()
    throw error
  }
  return endWriting(writing)
}

interface WritingMode {
  readonly run: Run
  readonly readFd: number
  /** Of the input. */
  readonly failure: Promise<{ readonly error: unknown } | undefined> | undefined
}

function startWriting(work: TreeMode, task: Task, input: AsyncIterable<Uint8Array> | undefined): WritingMode {
  task.signal.throwIfAborted()
  const [readFd, writeFd] = getAddon().pipe(pipeBytes)
  const feed = input === undefined ? undefined : getAddon().pipe(pipeBytes)
  const run = start(work, { stdin: feed?.[0] ?? -1, stdout: writeFd }, task)
  const failure = feed === undefined || input === undefined ? undefined : collectFailure(untilAborted(writePipe(feed[1], input), task.signal), run)
  return { run, readFd, failure }
}

async function endWriting({ run, failure }: WritingMode): Promise<TreeAnswer> {
  const failed = await failure
  if (failed !== undefined) {
    await run.stop()
    throw failed.error
  }
  return run.answer()
}

/** Runs a mode that needs nothing but its request. */
export async function callTreeMode(work: TreeMode, task: Task): Promise<TreeAnswer> {
  task.signal.throwIfAborted()
  return start(work, { stdin: -1, stdout: -1 }, task).answer()
}

/** An input may be waiting for something that never comes; the abort does not. */
async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => { reject(signal.reason) }
  signal.addEventListener('abort', abort, { once: true })
  try {
    await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** A failing input must end the mode at once, or it would wait for more for ever. */
async function collectFailure(work: Promise<void>, run: { readonly kill: () => void }): Promise<{ readonly error: unknown } | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    run.kill()
    return { error }
  }
}

interface Run {
  readonly kill: () => void
  /** Ends it; how it ended does not matter any more. */
  readonly stop: () => Promise<void>
  readonly answer: () => Promise<TreeAnswer>
}

function start(work: TreeMode, stdio: { readonly stdin: number; readonly stdout: number }, task: Task): Run {
  const reports: HelperReport[] = []
  const helper = startHelper({ mode: work.mode, request: work.request, stdio: [stdio.stdin, stdio.stdout, -1] }, (report) => reports.push(report))
  for (const fd of [stdio.stdin, stdio.stdout]) if (fd >= 0) closeSync(fd)
  const kill = (): void => { helper.kill('SIGKILL') }
  task.signal.addEventListener('abort', kill, { once: true })
  const settled: Promise<{ readonly exit: HelperExit } | { readonly error: unknown }> = helper.ended
    .then((exit) => ({ exit }), (error: unknown) => ({ error }))
    .finally(() => { task.signal.removeEventListener('abort', kill) })
  return {
    kill,
    stop: async () => {
      kill()
      await settled
    },
    answer: async () => {
      const outcome = await settled
      task.signal.throwIfAborted()
      const refused = reports.find((report) => report.kind === refusedKind)
      if (refused !== undefined) throw decodeRefusal(work.mode, refused.payload)
      if ('error' in outcome) throw explain(work, outcome.error)
      return decodeAnswer(work.mode, reports, outcome.exit)
    },
  }
}

function decodeAnswer(mode: string, reports: readonly HelperReport[], exit: HelperExit): TreeAnswer {
  const needs = reports.find((report) => report.kind === needsLowersKind)
  if (needs === undefined && exit.exitCode !== 0) throw new HelperDied(mode, exit)
  return {
    done: reports.filter((report) => report.kind === doneKind).map((report) => report.payload),
    needsLowers: needs === undefined ? undefined : Buffer.from(new WireReader(needs.payload).bytes()),
  }
}

function decodeRefusal(mode: string, payload: Uint8Array): Error {
  const reader = new WireReader(payload)
  const number = reader.u32()
  const entry = Number(reader.u64())
  const object = Buffer.from(reader.bytes())
  const rule = findRule(number)
  if (rule === undefined) throw new TypeError(`helper "${mode}" refused by rule ${number}, which has no name`)
  if (rule === 'source-is-no-file' || rule === 'source-size-changed') return new SourceChanged(object)
  return readsArchive.includes(mode) && isArchiveRule(rule) ? new HostileArchive(rule, entry, object) : new Unrepresentable(rule, object)
}

function explain(work: TreeMode, error: unknown): unknown {
  if (!(error instanceof HelperFailure)) return error
  if (error.errnoName === 'ENOSPC' || error.errnoName === 'EDQUOT') return new StorageFull(work.root, statfsSync(work.root), { cause: error })
  return new TreeFailure(work.doing, error, { cause: error })
}
