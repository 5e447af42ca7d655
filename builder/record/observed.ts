import { Canceled, TsbuildError } from '../../core/errors.ts'
import type { Task } from '../../core/task.ts'
import { randomId } from '../../runtime/index.ts'
import type { Engine } from '../engine.ts'
import { StepFailed } from '../errors.ts'
import { guardedTask } from '../guard/guarded-task.ts'
import type { SecretGuard } from '../guard/secret-guard.ts'
import type { BuildEvent, BuildFinished, FinishedError, FinishedImage } from '../events.ts'
import { imageSteps } from '../image-facts.ts'
import { BuildProgress } from './build-progress.ts'
import type { BuildCommandLine } from './build-record.ts'
import { Recorder } from './recorder.ts'
import { exportTrace } from './trace.ts'

interface Built {
  readonly id: FinishedImage['id']
  readonly names: readonly string[]
}

export interface Observation {
  /** Masks what is told and kept. */
  readonly guard: SecretGuard
  readonly title: string
  readonly command: BuildCommandLine | undefined
}

/** A build under observation. */
export interface ObservedBuild {
  /** By which its record is found. */
  readonly id: string
  readonly startedAtMs: number
  /** As far as it has come. */
  readonly progress: BuildProgress
  readonly task: Task<BuildEvent>
}

/** Runs a build, keeps its record, and tells as its last event how it ended; its trace goes where the environment says. */
export async function observed<Result extends Built>(engine: Engine, { observation, task }: { observation: Observation; task: Task<BuildEvent> }, work: (build: ObservedBuild) => Promise<Result>): Promise<Result> {
  const id = randomId().replace('-', '').slice(0, 12)
  const progress = new BuildProgress()
  const startedAtMs = Date.now()
  const { guard, title, command } = observation
  const recorder = new Recorder((engine.home ?? engine).store.root, { id, startedAtMs, title, command: command === undefined ? undefined : { ...command, args: command.args.map((arg) => guard.mask(arg)) } })
  const { emit } = guardedTask({
    signal: task.signal,
    emit: (event) => {
      progress.handle(event)
      recorder.handle(event)
      task.emit(event)
    },
  }, guard.patterns)
  const end = async (finished: BuildFinished): Promise<void> => {
    const problem = await exportTrace(engine.env, { title, startedAtMs, progress, finished })
    if (problem !== undefined) emit({ type: 'warning-raised', rule: 'TraceNotExported', message: problem, range: undefined })
    if (recorder.failure !== undefined) emit({ type: 'warning-raised', rule: 'RecordNotKept', message: `the record of this build is incomplete: ${recorder.failure.message}`, range: undefined })
    emit(finished)
    recorder.finish(progress)
  }
  const common = { type: 'build-finished', build: id } as const
  try {
    const result = await work({ id, startedAtMs, progress, task: { signal: task.signal, emit } })
    await end({ ...common, outcome: 'succeeded', atMs: Date.now(), image: await describeImage(engine, result), error: undefined })
    return result
  } catch (error) {
    await end({ ...common, outcome: error instanceof Canceled ? 'canceled' : 'failed', atMs: Date.now(), image: undefined, error: describeError(error) })
    throw error
  }
}

async function describeImage({ store }: Engine, { id, names }: Built): Promise<FinishedImage> {
  const image = store.images.find(id)
  const steps = image === undefined ? [] : await imageSteps(store, image)
  const layers = steps.flatMap(({ createdBy, diffId, sizeBytes, inodes }) => diffId === undefined ? [] : [{ createdBy, diffId, sizeBytes, inodes }])
  return { id, names, layers }
}

function describeError(error: unknown): FinishedError {
  const message = error instanceof Error ? error.message : String(error)
  return { code: error instanceof TsbuildError ? error.code : 'BUG', message, step: error instanceof StepFailed ? error.label : undefined }
}
