import { randomBytes } from 'node:crypto'
import { Canceled, TsbuildError } from '../../core/errors.ts'
import type { Task } from '../../core/task.ts'
import type { Engine } from '../engine.ts'
import { StepFailed } from '../errors.ts'
import type { BuildEvent, FinishedError, FinishedImage } from '../events.ts'
import { imageSteps } from '../image-facts.ts'

interface Built {
  readonly id: FinishedImage['id']
  readonly names: readonly string[]
}

/** Runs a build and tells, as its last event, how it ended. */
export async function observed<Result extends Built>(engine: Engine, task: Task<BuildEvent>, work: () => Promise<Result>): Promise<Result> {
  const build = randomBytes(6).toString('hex')
  try {
    const result = await work()
    task.emit({ type: 'build-finished', build, outcome: 'succeeded', atMs: Date.now(), image: await describeImage(engine, result), error: undefined })
    return result
  } catch (error) {
    task.emit({ type: 'build-finished', build, outcome: error instanceof Canceled ? 'canceled' : 'failed', atMs: Date.now(), image: undefined, error: describeError(error) })
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
