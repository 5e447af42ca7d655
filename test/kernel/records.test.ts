import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, vi } from 'vitest'
import { gc } from '../../storage/index.ts'
import { applied } from '../support/stored-images.ts'
import { useStores } from '../support/stores.ts'
import { task } from '../support/streams.ts'
import { file } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const stores = useStores(useTemporaryFolder('records'))

describe('cache entries', () => {
  it('are found by the session at once and by others with their layer', async () => {
    const root = stores.newRoot()
    const [store, other] = [await stores.open(root), await stores.open(root)]
    const layer = await applied(store, file('a'))
    store.cache.put({ key: 'k', chainId: layer.chainId, payload: '{"a":1}' })
    expect(store.cache.find('k')).toMatchObject({ key: 'k', chainId: layer.chainId, payload: '{"a":1}' })
    expect(other.cache.find('k')).toBeUndefined()
    await store.layers.sync(task)
    expect(other.cache.find('k')).toMatchObject({ chainId: layer.chainId })
    store.cache.put({ key: 'k2', chainId: layer.chainId, payload: '' })
    await store.layers.sync(task)
    expect(other.cache.find('k2')).toBeDefined()
  })

  it('keep their layer alive, and are not found without it', async () => {
    const root = stores.newRoot()
    const store = await stores.open(root)
    const layer = await applied(store, file('a'))
    store.cache.put({ key: 'k', chainId: layer.chainId, payload: '' })
    await store[Symbol.asyncDispose]()
    const later = await stores.open(root)
    expect(await gc(later, task, { dryRun: false })).toMatchObject({ layers: 0 })
    expect(later.cache.find('k')).toBeDefined()
    await later[Symbol.asyncDispose]()
    for (const dir of readdirSync(join(root, 'layers'))) rmSync(join(root, 'layers', dir), { recursive: true })
    const last = await stores.open(root)
    expect(last.cache.find('k')).toBeUndefined()
    const again = await applied(last, file('a'))
    expect(again.chainId).toBe(layer.chainId)
    await last.layers.sync(task)
    expect(last.cache.find('k')).toBeDefined()
  })
})

describe('digests of files', () => {
  it('are forgotten with the form that earlier versions of a store have', async () => {
    const store = await stores.open()
    await store[Symbol.asyncDispose]()
    for (const version of [3, 4]) {
      const database = new DatabaseSync(join(store.root, 'state.db'))
      database.exec(`
        DROP TABLE digest_roots; DROP TABLE digest_folders; PRAGMA user_version = ${version};
        ${version === 4 ? "CREATE TABLE file_digests (folder TEXT PRIMARY KEY, digests TEXT NOT NULL, used_ms INTEGER NOT NULL) WITHOUT ROWID; INSERT INTO file_digests VALUES ('/', '{}', 1)" : ''}`)
      database.close()
      const later = await stores.open(store.root)
      later.fileDigests.save('/tree', new Map([['/', Buffer.from('new')]]), new Set())
      expect(Buffer.from(later.fileDigests.load('/tree', Buffer.from('/')) ?? []).toString()).toBe('new')
      await later[Symbol.asyncDispose]()
    }
    const database = new DatabaseSync(join(store.root, 'state.db'))
    expect(database.prepare("SELECT user_version, (SELECT count(*) FROM sqlite_master WHERE name = 'file_digests') AS old FROM pragma_user_version").get()).toEqual({ user_version: 5, old: 0 })
    database.close()
  })

  it('are kept by tree and directory, of the trees that were used last', async () => {
    const root = stores.newRoot()
    const store = await stores.open(root)
    const folder = Buffer.from([0x2f, 0xff])
    const save = (tree: string, text: string): void => { store.fileDigests.save(tree, new Map([[folder.toString('latin1'), Buffer.from(text)]]), new Set()) }
    save('/tree', 'one')
    save('/tree', 'two')
    expect(Buffer.from(store.fileDigests.load('/tree', folder) ?? []).toString()).toBe('two')
    expect([store.fileDigests.load('/tree', Buffer.from('/')), store.fileDigests.load('/other', folder)]).toEqual([undefined, undefined])
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 1000 })
    for (let number = 0; number < 64; number += 1) save(`/tree-${number}`, 'x')
    vi.useRealTimers()
    await store[Symbol.asyncDispose]()
    const later = await stores.open(root)
    expect([later.fileDigests.load('/tree', folder), Buffer.from(later.fileDigests.load('/tree-63', folder) ?? []).toString()]).toEqual([undefined, 'x'])
  })
})
