import { statfsSync } from 'node:fs'
import type { Task } from '../../core/task.ts'
import type { ContainerEvent, ContainerExit, ContainerSpec, ContainerStdio } from '../../runtime/index.ts'
import { ContainerSetupFailed, runContainer } from '../../runtime/index.ts'
import type { Store } from '../../storage/index.ts'
import { StorageFull } from '../../storage/index.ts'

/** Runs a container whose root lies in a store, and says so when there is no room for that. @throws {StorageFull} */
// eslint-disable-next-line max-params -- those of runContainer, and the store
export async function runInStore(store: Store, spec: ContainerSpec, stdio: ContainerStdio, task: Task<ContainerEvent>): Promise<ContainerExit> {
  try {
    return await runContainer(spec, stdio, task)
  } catch (error) {
    if (!(error instanceof ContainerSetupFailed) || error.errnoName !== 'ENOSPC') throw error
    throw new StorageFull(store.root, statfsSync(store.root), { cause: error })
  }
}
