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
}

interface Detached {
  readonly name: string | undefined
  readonly image: StoredImage
  readonly imageName: string
  readonly settings: RunSettings
  readonly isRemovedAtEnd: boolean
}

/**
 * Starts a container that outlives this command, in the care of a process of its own, and prints its id when it runs.
 * @throws {DetachedFailed}
 */
export async function startDetached({ name, image, imageName, settings, isRemovedAtEnd }: Detached, app: App): Promise<number> {
  const id = randomBytes(32).toString('hex')
  const ports = settings.ports.map(({ address = '0.0.0.0', hostPort, containerPort, protocol }) => `${address}:${hostPort}->${containerPort}/${protocol}`)
  const record: ContainerRecord = { id, name: name ?? id.slice(0, shortIdLength), image: imageName, command: settings.command, createdAtMs: Date.now(), ports, isRemovedAtEnd }
  const order: SupervisorOrder = { record, imageId: image.id, settings }
  const supervisor = spawn(process.execPath, [process.argv[1] ?? '', 'supervise'], { detached: true, cwd: '/', stdio: ['pipe', 'pipe', 'ignore'] })
  supervisor.stdin.end(JSON.stringify(order))
  const problem = await firstAnswer(supervisor.stdout)
  supervisor.unref()
  if (problem !== started) throw new DetachedFailed(record.name, problem)
  app.print(id)
  return 0
}

export const shortIdLength = 12

/** What the supervisor answers when the container runs; anything else is why it does not. */
export const started = 'started'

async function firstAnswer(stdout: Readable): Promise<string> {
  return (await text(stdout)).trim()
}
