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

const otherPolicies = { overlay: 'erofs', erofs: 'overlay', auto: 'contrary', contrary: 'auto' } as const

/**
 * An engine with an empty store of its own in the system's temporary directory, gone when it is disposed. It keeps layers in
 * the format that they do not have at home, where this machine can: EROFS directories are in byte order, others in the order of their filesystem.
 */
export async function openElsewhere(home: Engine): Promise<Elsewhere> {
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-elsewhere-'))
  const remove = (): void => { rmSync(folder, { recursive: true, force: true }) }
  try {
    const { chosen, erofs } = await describeFormat(home.store)
    const format = erofs.kind === 'unavailable' ? 'overlay' : otherPolicies[chosen]
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
