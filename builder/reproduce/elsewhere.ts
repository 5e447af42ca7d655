import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeFormat, openStore } from '../../storage/index.ts'
import type { Engine } from '../engine.ts'

export interface Elsewhere extends Engine {
  readonly home: Engine
  /** Directories of a root filesystem list what they hold in another order than at home. */
  readonly ordersDirectoriesOtherwise: boolean
}

export interface ElsewhereOptions {
  /** Whether RUN steps can have layers that are filesystems of their own. */
  readonly mountsLayers: boolean
}

/**
 * An engine with an empty store of its own in the system's temporary directory, gone when it is disposed. It keeps layers in
 * the other format, where this machine can: EROFS directories are in byte order, others in the order of their filesystem.
 */
export async function openElsewhere(home: Engine, { mountsLayers }: ElsewhereOptions): Promise<Elsewhere> {
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-elsewhere-'))
  const remove = (): void => { rmSync(folder, { recursive: true, force: true }) }
  try {
    const { chosen, erofs } = await describeFormat(home.store)
    const format = mountsLayers && chosen === 'overlay' && erofs.kind !== 'unavailable' ? 'erofs' : 'overlay'
    const store = await openStore(join(folder, 'store'), { format })
    return {
      store,
      env: home.env,
      registries: () => home.registries(),
      home,
      ordersDirectoriesOtherwise: format !== chosen,
      [Symbol.asyncDispose]: async () => {
        await store[Symbol.asyncDispose]()
        remove()
      },
    }
  } catch (error) {
    remove()
    throw error
  }
}
