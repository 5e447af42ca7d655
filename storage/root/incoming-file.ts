import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readdirSync, statSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isErrno } from '../../core/errors.ts'
import type { Task } from '../../core/task.ts'
import { getAddon } from '../../native/index.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Layout } from './layout.ts'

/** The file that a blob arrives in. One process holds it at a time; what it had written stays when it dies. */
export interface IncomingFile {
  readonly path: string
  readonly file: FileHandle
  readonly sizeBytes: number
}

const longestWaitMs = 100
/** What nobody went on with for so long nobody wants. */
const abandonedMs = 86_400_000

export function incomingPath(layout: Layout, digest: Digest): string {
  return join(layout.incoming, digest.replace(':', '-'))
}

/** Waits while another process, or another call of this one, holds the file. @returns undefined once `isThere` says that the blob has arrived */
export async function claimIncoming(layout: Layout, { digest, isThere }: { readonly digest: Digest; readonly isThere: () => boolean }, task: Task): Promise<IncomingFile | undefined> {
  if (!existsSync(layout.incoming)) mkdirSync(layout.incoming, { recursive: true, mode: 0o700 })
  const path = incomingPath(layout, digest)
  for (;;) {
    const file = await open(path, 'a+', 0o600)
    try {
      await waitForLock(file, task)
      if (isThere()) {
        await file.close()
        return undefined
      }
      // Whoever held it may have moved it away meanwhile.
      if (isStill(path, file)) return { path, file, sizeBytes: (await file.stat()).size }
    } catch (error) {
      await file.close()
      throw error
    }
    await file.close()
  }
}

async function waitForLock(file: FileHandle, task: Task): Promise<void> {
  for (let waitMs = 1; !getAddon().tryLock(file.fd, true); waitMs = Math.min(waitMs * 2, longestWaitMs)) {
    try {
      await sleep(waitMs, undefined, { signal: task.signal })
    } catch (error) {
      task.signal.throwIfAborted()
      throw error
    }
  }
}

function isStill(path: string, file: FileHandle): boolean {
  try {
    return statSync(path).ino === fstatSync(file.fd).ino
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}

/** Calls `take` with each file that nobody holds or went on with for a day, and keeps others from it meanwhile. */
export function forEachAbandoned(layout: Layout, take: (path: string) => void): void {
  if (!existsSync(layout.incoming)) return
  for (const name of readdirSync(layout.incoming)) {
    const path = join(layout.incoming, name)
    let fd: number
    try {
      fd = openSync(path, 'r')
    } catch (error) {
      if (isErrno(error, 'ENOENT')) continue
      throw error
    }
    try {
      if (getAddon().tryLock(fd, true) && Date.now() - fstatSync(fd).mtimeMs > abandonedMs) take(path)
    } finally {
      closeSync(fd)
    }
  }
}
