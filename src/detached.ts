import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { RunRequest } from '../builder/index.ts'
import type { ContainerRecord } from '../runtime/index.ts'
import type { StoredImage } from '../storage/index.ts'
import type { App } from './app.ts'
import { DetachedFailed } from './errors.ts'

export type RunSettings = Omit<RunRequest, 'image'>

/** What the supervisor of a detached container is told, on its standard input. */
export interface SupervisorOrder {
  readonly record: ContainerRecord
  readonly imageId: string
  readonly settings: RunSettings
  readonly stopSignal: string | undefined
}

interface Detached {
  readonly name: string | undefined
  readonly image: StoredImage
  readonly imageName: string
  readonly settings: RunSettings
  readonly isRemovedAtEnd: boolean
  /** In place of the image's. */
  readonly stopSignal: string | undefined
}

/**
 * Starts a container that outlives this command, in the care of a process of its own, and prints its id when it runs.
 * @throws {DetachedFailed}
 */
export async function startDetached({ name, image, imageName, settings, isRemovedAtEnd, stopSignal }: Detached, app: App): Promise<number> {
  const id = randomBytes(32).toString('hex')
  const ports = settings.ports.map(({ address = '0.0.0.0', hostPort, containerPort, protocol }) => `${address}:${hostPort}->${containerPort}/${protocol}`)
  const record: ContainerRecord = { id, name: name ?? id.slice(0, shortIdLength), image: imageName, command: settings.command, createdAtMs: Date.now(), ports, isRemovedAtEnd }
  const order: SupervisorOrder = { record, imageId: image.id, settings, stopSignal }
  const supervisor = spawn(process.execPath, [process.argv[1] ?? '', 'supervise'], { detached: true, cwd: '/', stdio: ['pipe', 'pipe', 'ignore'] })
  supervisor.stdin.end(JSON.stringify(order))
  const answer = await firstAnswer(supervisor.stdout)
  supervisor.unref()
  if (answer.kind === 'failed') throw new DetachedFailed(record.name, answer.problem)
  app.print(id)
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
