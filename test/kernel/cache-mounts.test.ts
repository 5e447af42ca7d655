import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import type { CacheMountRequest } from '../../storage/index.ts'
import { useStores } from '../support/stores.ts'
import { task } from '../support/streams.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const stores = useStores(useTemporaryFolder('cache-mounts'))
const request: CacheMountRequest = { id: 'apt', uid: 0, gid: 0, mode: 0o755, sharing: 'shared', seed: undefined }
const patient = (): typeof task => ({ ...task, signal: AbortSignal.timeout(20_000) })

describe('a cache mount', () => {
  it('that several want who find none is made by one, and used by all at the same time', async () => {
    const first = await stores.open()
    const others = [await stores.open(first.root), await stores.open(first.root)]
    // None is given back before all have one: a maker who waited for those who use it would wait for ever.
    const held = await Promise.all([first, ...others].map((store) => store.mounts.hold(request, patient())))
    expect(new Set(held.map(({ path }) => path)).size).toBe(1)
    for (const mount of held) await mount[Symbol.asyncDispose]()
    expect(await first.mounts.list(task)).toHaveLength(1)
  })

  it('whose maker was killed before it was on record is made anew', async () => {
    const store = await stores.open()
    const made = await store.mounts.hold(request, patient())
    writeFileSync(join(made.path, 'half'), 'x')
    await made[Symbol.asyncDispose]()
    const database = new DatabaseSync(join(store.root, 'state.db'))
    database.exec('DELETE FROM cache_mounts')
    database.close()
    const again = await store.mounts.hold(request, patient())
    expect(readdirSync(again.path)).toEqual([])
    await again[Symbol.asyncDispose]()
  })
})
