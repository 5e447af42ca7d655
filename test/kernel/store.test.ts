import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it } from 'vitest'
import type { Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import type { Layer } from '../../storage/index.ts'
import { fsck, gc, measureUsage, openStore } from '../../storage/index.ts'
import { run } from '../support/container.ts'
import { writableFolder } from '../support/overlay.ts'
import { applied, writeImage } from '../support/stored-images.ts'
import { expectClean, formatOfArchives, useStores } from '../support/stores.ts'
import { collect, stream, task } from '../support/streams.ts'
import { archive, directory, file } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'
import { Workspace } from '../support/workspace.ts'

const folder = useTemporaryFolder('store')
const stores = useStores(folder)
const unpacking = useStores(folder, 'overlay')

describe('a snapshot', () => {
  it('in which nothing was changed serves again as a new one', async () => {
    using workspace = new Workspace()
    const busybox = { kind: 'directory', path: workspace.makeBusyboxLayer() } as const
    const root = unpacking.newRoot()
    const store = await unpacking.open(root)
    const base = await applied(store, file('a'))
    const commit = async (script: string): Promise<Layer & { readonly upperdir: string }> => {
      await using snapshot = await store.layers.prepare(base.chainId)
      const { rootfs } = snapshot
      if (rootfs.kind !== 'overlay' || rootfs.upper === undefined) throw new TypeError('want an overlay')
      const { upperdir } = rootfs.upper
      expect(statSync(upperdir).mode & 0o7777).toBe(0o755)
      expect(await run({ args: ['/bin/sh', '-c', script], rootfs: { ...rootfs, lowers: [...rootfs.lowers, busybox] } })).toMatchObject({ exit: { exitCode: 0 }, stderr: '' })
      return { ...await snapshot.commit(task), upperdir }
    }
    const first = await commit('touch /x; rm /x; chmod 700 /')
    const second = await commit('ls -ld / | grep -q rwxr-xr-x && echo b > /b')
    const third = await commit('! cat /b 2>/dev/null')
    expect([second.upperdir === first.upperdir, third.upperdir === first.upperdir]).toEqual([true, false])
    expect([first.diffId === second.diffId, first.chainId === third.chainId]).toEqual([false, true])
    await store[Symbol.asyncDispose]()
    expect(readdirSync(join(root, 'snapshots'))).toEqual([])
    await expectClean(root)
  })
})

describe('gc', () => {
  it('predicts and frees what nothing needs, and only that', async () => {
    // An unpacked layer of somebody else has its tar as a blob.
    const tarBlobs = formatOfArchives() === 'erofs' ? 0 : 1
    const root = stores.newRoot()
    let store = await stores.open(root)
    const kept = await applied(store, file('kept', 'x'.repeat(10_000)))
    const lost = await applied(store, directory('lost'), file('lost/a', 'x'.repeat(50_000)), file('lost/b'))
    const top = await store.layers.apply(kept.chainId, stream(archive(file('top'))), undefined, task)
    const image = await writeImage(store, [kept, top])
    await store.layers.sync(task)
    store.images.put(image.manifest, image.config.digest, ['docker.io/library/kept:1'])
    await store.content.write(Buffer.alloc(9000, 'orphan'), mediaTypes.ociConfig)
    writeFileSync(join(root, 'content', 'blobs', 'sha256', 'f'.repeat(64)), 'stray')
    writeFileSync(join(root, 'layers', 'stray'), 'stray')
    expect(await gc(store, task, { dryRun: false })).toMatchObject({ layers: 0, blobs: 0, inodes: 2, bytes: 8192 })
    await store[Symbol.asyncDispose]()
    store = await stores.open(root)
    const predicted = await gc(store, task, { dryRun: true })
    expect(predicted).toMatchObject({ layers: 1, blobs: 1 + tarBlobs })
    expect(await gc(store, task, { dryRun: false })).toEqual(predicted)
    expect(predicted.inodes).toBe(lost.inodes + 1 + tarBlobs)
    expect(await gc(store, task, { dryRun: false })).toEqual({ removed: [], layers: 0, blobs: 0, inodes: 0, bytes: 0, unmet: [] })
    expect(store.layers.find(lost.chainId)).toBeUndefined()
    expect(store.layers.find(top.chainId)).toBeDefined()
    store.images.remove(image.config.digest)
    await store[Symbol.asyncDispose]()
    store = await stores.open(root)
    expect(await gc(store, task, { dryRun: false })).toMatchObject({ layers: 2, blobs: 4 + 2 * tarBlobs })
    expect(readdirSync(join(root, 'layers'))).toEqual([])
    expect(readdirSync(join(root, 'content', 'blobs', 'sha256'))).toEqual([])
  })

  it('leaves alone what another living process uses', async () => {
    const root = stores.newRoot()
    const [user, collector] = [await stores.open(root), await stores.open(root)]
    const layer = await applied(user, file('a'))
    const unsynced = await user.layers.apply(layer.chainId, stream(archive(file('b'))), undefined, task)
    const blob = await user.content.write(Buffer.from('used'), mediaTypes.ociConfig)
    const snapshot = await user.layers.prepare(unsynced.chainId)
    expect(await gc(collector, task, { dryRun: false })).toEqual({ removed: [], layers: 0, blobs: 0, inodes: 0, bytes: 0, unmet: [] })
    await user.layers.sync(task)
    expect(await gc(collector, task, { dryRun: false })).toEqual({ removed: [], layers: 0, blobs: 0, inodes: 0, bytes: 0, unmet: [] })
    expect(await collect(user.content.read(blob, task))).toEqual(Buffer.from('used'))
    expect(await collect(user.layers.changeset(unsynced.chainId, task))).toEqual(archive(file('b')))
    expect(await snapshot.commit(task)).toMatchObject({ inodes: 0 })
    await snapshot[Symbol.asyncDispose]()
    await user[Symbol.asyncDispose]()
    expect(await gc(collector, task, { dryRun: false })).toMatchObject({ layers: 3 })
  })
})

describe('pruning', () => {
  it('leaves images, cache entries and cache mounts alone that another process uses, and takes them afterwards', async () => {
    const root = stores.newRoot()
    const [user, collector] = [await stores.open(root), await stores.open(root)]
    const layer = await applied(user, file('a', 'x'.repeat(10_000)))
    const image = await writeImage(user, [layer])
    user.cache.put({ key: 'k', chainId: layer.chainId, payload: '' })
    await user.layers.sync(task)
    const { id } = user.images.put(image.manifest, image.config.digest, ['docker.io/library/a:1'])
    const mount = await user.mounts.hold({ id: 'apt', uid: 0, gid: 0, mode: 0o755, sharing: 'shared', seed: undefined }, task)
    writeFileSync(join(mount.path, 'file'), 'x'.repeat(5000))
    const policies = [{ what: 'all', filters: {}, keepLast: undefined, budgets: {} }] as const
    expect(await gc(collector, task, { dryRun: false, policies })).toMatchObject({ removed: [], layers: 0, inodes: 0 })
    expect(await measureUsage(collector, task)).toMatchObject({ images: { inUse: 1 }, cache: { inUse: 1 }, mounts: { inUse: 1, size: { inodes: 2 } }, reclaimable: { bytes: 0, inodes: 0 } })
    await mount[Symbol.asyncDispose]()
    await user[Symbol.asyncDispose]()
    const reader = await stores.open(root)
    expect(reader.images.lease(id)).toBe(true)
    expect((await gc(collector, task, { dryRun: true, policies })).removed).toMatchObject([{ kind: 'mount', id: expect.any(String) as string }])
    await reader[Symbol.asyncDispose]()
    const predicted = await gc(collector, task, { dryRun: true, policies })
    expect(predicted.removed.map(({ kind }) => kind).sort()).toEqual(['cache', 'image', 'mount'])
    expect(await gc(collector, task, { dryRun: false, policies })).toEqual(predicted)
    const { images: left, cache: entries, mounts, underway, garbage } = await measureUsage(collector, task)
    expect([left.size, entries.size, mounts.size, underway, garbage]).toEqual([0, 0, 0, 0, 0].map(() => expect.objectContaining({ bytes: 0, inodes: 0 }) as unknown))
    expect(collector.images.lease(id)).toBe(false)
  })
})

describe('locks', () => {
  it('exclude each other between processes and go with their holder', async () => {
    const root = stores.newRoot()
    const [one, two] = [await stores.open(root), await stores.open(root)]
    const shared = await one.lock('cache', { exclusive: false }, task)
    await (await two.lock('cache', { exclusive: false }, task))[Symbol.asyncDispose]()
    let isHeld = false
    const waiting = two.lock('cache', { exclusive: true }, task).then((lock) => {
      isHeld = true
      return lock
    })
    await (await two.lock('other', { exclusive: true }, task))[Symbol.asyncDispose]()
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(isHeld).toBe(false)
    await shared[Symbol.asyncDispose]()
    const lock = await waiting
    const controller = new AbortController()
    const refused = one.lock('cache', { exclusive: true }, { ...task, signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(refused).rejects.toThrow('enough')
    await lock[Symbol.asyncDispose]()
  })
})

describe('a store', () => {
  it('is refused when a newer tsbuild wrote it, or when it is none', async () => {
    const root = stores.newRoot()
    const store = await openStore(root)
    await store[Symbol.asyncDispose]()
    writeFileSync(join(root, 'version'), '2\n')
    await expect(openStore(root)).rejects.toMatchObject({ code: 'STORAGE_TOO_NEW', version: '2' })
    await expect(openStore(folder)).rejects.toMatchObject({ code: 'STORAGE_NOT_OURS' })
    for (const nowhere of ['/proc/store', join(root, 'version', 'store'), join(root, 'version')]) await expect(openStore(nowhere), nowhere).rejects.toMatchObject({ code: 'STORAGE_UNUSABLE', root: nowhere })
  })

  it('may be made by several processes at once', async () => {
    const opener = join(import.meta.dirname, '..', 'support', 'store-opener.ts')
    const openers = Array.from({ length: 4 }, () => {
      const child = spawn(process.execPath, [opener], { stdio: ['pipe', 'pipe', 'inherit'] })
      return { child, lines: createInterface(child.stdout)[Symbol.asyncIterator]() }
    })
    const answers = (): Promise<unknown[]> => Promise.all(openers.map(async ({ lines }) => (await lines.next()).value as unknown))
    expect(await answers()).toEqual(openers.map(() => 'ready'))
    for (let round = 0; round < 8; round += 1) {
      const root = stores.newRoot()
      for (const { child } of openers) child.stdin.write(`${root}\n`)
      expect(await answers()).toEqual(openers.map(() => 'opened'))
      await expectClean(root)
    }
    await Promise.all(openers.map(({ child }) => {
      child.stdin.end()
      return once(child, 'close')
    }))
  })

  it('may be worked on by several at once', async () => {
    const root = stores.newRoot()
    const opened = await Promise.all(Array.from({ length: 5 }, () => stores.open(root)))
    const layers = await Promise.all(opened.map((store) => applied(store, file('same'))))
    await Promise.all(opened.map((store) => store.layers.sync(task)))
    expect(new Set(layers.map((layer) => layer.chainId)).size).toBe(1)
  })

  it('finds what is wrong with it', async () => {
    const root = unpacking.newRoot()
    const store = await unpacking.open(root)
    const base = await applied(store, file('a'))
    await using snapshot = await store.layers.prepare(base.chainId)
    writeFileSync(join(writableFolder(snapshot), 'b'), 'x')
    const layer = await snapshot.commit(task)
    await store.layers.sync(task)
    const dir = join(root, 'layers', readdirSync(join(root, 'layers')).find((name) => existsSync(join(root, 'layers', name, 'b'))) ?? '')
    writeFileSync(join(dir, 'c'), 'more')
    writeFileSync(join(root, 'content', 'index.json'), '{}')
    mkdirStray(root)
    const findings = (await fsck(store, task)).findings
    expect(findings.map(({ check, object }) => [check, object])).toEqual(expect.arrayContaining([
      ['layer-diff-id', layer.chainId], ['layer-inodes', layer.chainId], ['index', join(root, 'content', 'index.json')], ['stray', join(root, 'snapshots', 'zzz')],
    ]))
    expect(findings).toHaveLength(4)
    rmSync(join(dir, 'c'))
    await gc(store, task, { dryRun: false })
  })
})

function mkdirStray(root: string): void {
  writeFileSync(join(root, 'snapshots', 'zzz'), '')
}

describe('after kill -9', () => {
  const worker = join(import.meta.dirname, '..', 'support', 'store-worker.ts')
  const kill = async (root: string, kind: string, afterMs: number): Promise<string[]> => {
    const child = spawn(process.execPath, [worker, root, kind, `${kind}-${afterMs}`], { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text })
    const ended = once(child, 'close')
    await new Promise((resolve) => setTimeout(resolve, afterMs))
    child.kill('SIGKILL')
    await ended
    return output.split('\n').filter((line) => line !== '')
  }
  it.each(['ingest', 'apply', 'pull', 'commit', 'image'])('in the middle of %s a store is clean, and has all that was done', async (kind) => {
    const root = stores.newRoot()
    await (await stores.open(root))[Symbol.asyncDispose]()
    for (let afterMs = 150; afterMs < 500; afterMs += 43) {
      const done = await kill(root, kind, afterMs)
      await expectClean(root)
      await using store = await openStore(root)
      for (const line of done) {
        const [type, id = ''] = line.split(' ')
        const found = type === 'blob' ? store.content.find(id as Descriptor['digest']) : type === 'image' ? store.images.find(id) : store.layers.find(id as Layer['chainId'])
        expect(found, line).toBeDefined()
      }
    }
    await using store = await openStore(root)
    await gc(store, task, { dryRun: false })
    expect(readdirSync(join(root, 'trash'))).toEqual([])
    expect(readdirSync(join(root, 'snapshots'))).toEqual([])
  })

  it('of several processes, one of them collecting, a store is clean', async () => {
    const root = stores.newRoot()
    await (await stores.open(root))[Symbol.asyncDispose]()
    for (let round = 0; round < 4; round += 1) {
      const times = ['commit', 'pull', 'gc', 'image', 'gc'].map((kind, index) => kill(root, kind, 400 + 61 * ((round + index) % 5)))
      await Promise.all(times)
      await expectClean(root)
    }
  })
})
