import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Task } from '../../core/task.ts'
import { getAddon } from '../../native/index.ts'
import { digestHex, sha256 } from '../../oci/digest.ts'
import { explainFull } from './explain-full.ts'
import type { Layout } from './layout.ts'

const longestWaitMs = 50

interface LockRequest { readonly name: string; readonly exclusive: boolean }

/**
 * Takes a lock that all processes with the store open see; the kernel gives it back when its holder dies. The file of a
 * lock is never deleted: somebody could be waiting for it.
 * @throws {StorageFull}
 */
export async function takeLock(layout: Layout, request: LockRequest, task: Task): Promise<AsyncDisposable> {
  const fd = openLock(layout, request)
  try {
    for (let waitMs = 1; !getAddon().tryLock(fd, request.exclusive); waitMs = Math.min(waitMs * 2, longestWaitMs)) {
      await sleep(waitMs, undefined, { signal: task.signal })
    }
  } catch (error) {
    closeSync(fd)
    task.signal.throwIfAborted()
    throw error
  }
  return holdLock(fd)
}

/** As `takeLock`, but never waits. @returns undefined when somebody holds it */
export function tryLock(layout: Layout, request: LockRequest): AsyncDisposable | undefined {
  const fd = openLock(layout, request)
  if (getAddon().tryLock(fd, request.exclusive)) return holdLock(fd)
  closeSync(fd)
  return undefined
}

function openLock(layout: Layout, { name }: LockRequest): number {
  try {
    return openSync(join(layout.locks, digestHex(sha256(name)).slice(0, 32)), 'a', 0o600)
  } catch (error) {
    throw explainFull(layout.root, error)
  }
}

function holdLock(fd: number): AsyncDisposable {
  let isHeld = true
  return {
    [Symbol.asyncDispose]: () => {
      if (isHeld) closeSync(fd)
      isHeld = false
      return Promise.resolve()
    },
  }
}
