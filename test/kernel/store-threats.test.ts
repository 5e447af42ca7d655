import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { gc, openStore } from '../../storage/index.ts'
import { stream, task } from '../support/streams.ts'
import { archive, file } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const folder = useTemporaryFolder('store-threats')
const storage = join(import.meta.dirname, '..', '..', 'storage', 'index.ts')

describe('a lock', () => {
  it('is not taken from a holder that is stopped, and free within a second of its death', async () => {
    const root = join(folder, 'stopped')
    await using store = await openStore(root)
    const script = `import { openStore } from ${JSON.stringify(storage)}
      const store = await openStore(${JSON.stringify(root)})
      await store.lock('mine', { exclusive: true }, { signal: new AbortController().signal, emit: () => undefined })
      console.log('held')
      setInterval(() => undefined, 1000)`
    const holder = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(holder.stdout, 'data')
    holder.kill('SIGSTOP')
    let isTaken = false
    const waiting = store.lock('mine', { exclusive: true }, task).then((lock) => {
      isTaken = true
      return lock
    })
    await sleep(1500)
    expect(isTaken).toBe(false)
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    // Where every processor is busy a second can pass before this process runs again: its own ticks tell what it waited.
    let ticks = 0
    const ticking = setInterval(() => { ticks += 1 }, 10)
    await (await waiting)[Symbol.asyncDispose]()
    clearInterval(ticking)
    expect(ticks).toBeLessThan(100)
  })

  it('of which the file is something else is an error with its path', async () => {
    await using store = await openStore(join(folder, 'directory'))
    await (await store.lock('gc', { exclusive: true }, task))[Symbol.asyncDispose]()
    const locks = join(store.root, 'locks')
    const [name = ''] = readdirSync(locks)
    rmSync(join(locks, name))
    mkdirSync(join(locks, name))
    await expect(gc(store, task, { dryRun: false })).rejects.toMatchObject({ code: 'EISDIR', path: join(locks, name) })
  })
})

describe('a store that is deleted while it is open', () => {
  it('fails what is underway, once, and is made anew by the next who opens it', async () => {
    const root = join(folder, 'deleted')
    const store = await openStore(root)
    await store.layers.apply(undefined, stream(archive(file('a'))), undefined, task)
    rmSync(root, { recursive: true })
    await expect(store.layers.apply(undefined, stream(archive(file('b'))), undefined, task)).rejects.toThrow()
    await Promise.allSettled([store[Symbol.asyncDispose]()])
    await using again = await openStore(root)
    expect((await again.layers.apply(undefined, stream(archive(file('b'))), undefined, task)).inodes).toBeGreaterThan(1)
  })
})
