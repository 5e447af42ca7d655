import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { isErrno } from '../core/errors.ts'
import type { RunRequest } from '../builder/index.ts'
import type { ContainerRecord } from '../runtime/index.ts'
import type { StoredImage } from '../storage/index.ts'
import type { App } from './app.ts'
import { DetachedFailed, UsageError } from './errors.ts'

export type RunSettings = Omit<RunRequest, 'image'>

/** What the supervisor of a detached container is told, on its standard input. */
export interface SupervisorOrder {
  readonly record: ContainerRecord
  readonly imageId: string
  readonly settings: RunSettings
  readonly stopSignal: string | undefined
}

/** A container that other commands find while it runs. */
export interface Named {
  readonly name: string | undefined
  readonly image: StoredImage
  readonly imageName: string
  readonly settings: RunSettings
  readonly isRemovedAtEnd: boolean
  /** In place of the image's. */
  readonly stopSignal: string | undefined
  readonly labels: readonly string[]
  /** A file that gets the id. */
  readonly cidfile: string | undefined
}

/** @throws {UsageError} when its cidfile is there already */
export function createRecord({ name, imageName, settings, isRemovedAtEnd, labels, cidfile }: Named): ContainerRecord {
  const id = randomBytes(32).toString('hex')
  if (cidfile !== undefined) writeId(cidfile, id)
  const ports = settings.ports.map(({ address = '0.0.0.0', hostPort, containerPort, protocol }) => `${address}:${hostPort}->${containerPort}/${protocol}`)
  return { id, name: name ?? id.slice(0, shortIdLength), image: imageName, command: settings.command, createdAtMs: Date.now(), ports, isRemovedAtEnd, labels }
}

function writeId(path: string, id: string): void {
  try {
    writeFileSync(path, id, { flag: 'wx' })
  } catch (error) {
    throw isErrno(error, 'EEXIST') ? new UsageError(`cannot write the id to "${path}": it is there already; remove it, or name another file by --cidfile`) : error
  }
}

/**
 * Starts a container that outlives this command, in the care of a process of its own, and prints its id when it runs.
 * @throws {DetachedFailed}
 */
export async function startDetached(named: Named, app: App): Promise<number> {
  const { image, settings, stopSignal } = named
  const record = createRecord(named)
  const order: SupervisorOrder = { record, imageId: image.id, settings, stopSignal }
  const supervisor = spawn(process.execPath, [process.argv[1] ?? '', 'supervise'], { detached: true, cwd: '/', stdio: ['pipe', 'pipe', 'ignore'] })
  supervisor.stdin.end(JSON.stringify(order))
  const answer = await firstAnswer(supervisor.stdout)
  supervisor.unref()
  if (answer.kind === 'failed') throw new DetachedFailed(record.name, answer.problem)
  app.print(record.id)
  if (answer.kind === 'started') return 0
  app.note(`error: ${answer.problem}`)
  return answer.exitCode
}

export const shortIdLength = 12

/** What the supervisor answers once the container runs or does not. Of one whose command cannot be executed there is a record all the same. */
export type SupervisorAnswer =
  | { readonly kind: 'started' }
  | { readonly kind: 'not-executed'; readonly problem: string; readonly exitCode: number }
  | { readonly kind: 'failed'; readonly problem: string }

async function firstAnswer(stdout: Readable): Promise<SupervisorAnswer> {
  const words = await text(stdout)
  return words === '' ? { kind: 'failed', problem: '' } : JSON.parse(words) as SupervisorAnswer
}
