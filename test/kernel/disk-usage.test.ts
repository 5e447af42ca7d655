import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { linkSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { sha256 } from '../../oci/digest.ts'
import type { LayerFormatName, Size, Store } from '../../storage/index.ts'
import { addSizes, gc, measureUsage, openStore, repair } from '../../storage/index.ts'
import { writableFolder } from '../support/overlay.ts'
import { applied, writeImage } from '../support/stored-images.ts'
import { useStores } from '../support/stores.ts'
import { stream, task } from '../support/streams.ts'
import { archive, directory, file } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const folder = useTemporaryFolder('disk-usage')

/** As another program counts. */
function du(path: string): Size {
  const count = (...args: readonly string[]): number => Number(execFileSync('du', ['-s', ...args, path], { encoding: 'utf8' }).split('\t')[0])
  return { bytes: count('-B1'), inodes: count('--inodes') }
}

function minus(one: Size, other: Size): Size {
  return { bytes: one.bytes - other.bytes, inodes: one.inodes - other.inodes }
}

/** Images, a cache entry and a cache mount. */
async function fill(store: Store): Promise<void> {
  const base = await applied(store, directory('shared'), file('shared/file', 'x'.repeat(70_000)))
  const top = await store.layers.apply(base.chainId, stream(archive(file('top', 'x'.repeat(9_000)))), undefined, task)
  for (const [name, layers] of [['one', [base]], ['two', [base, top]]] as const) {
    const image = await writeImage(store, layers, name)
    await store.layers.sync(task)
    store.images.put(image.manifest, image.config.digest, [`docker.io/library/${name}:1`])
  }
  const snapshot = await store.layers.prepare(base.chainId)
  writeFileSync(join(writableFolder(snapshot), 'made'), 'y'.repeat(5_000))
  const made = await snapshot.commit(task)
  store.cache.put({ key: 'step', chainId: made.chainId, payload: '' })
  await store.layers.sync(task)
  await using mount = await store.mounts.hold({ id: 'npm', uid: 0, gid: 0, mode: 0o755, sharing: 'shared', seed: undefined }, task)
  mkdirSync(join(mount.path, 'deep', 'er'), { recursive: true })
  writeFileSync(join(mount.path, 'deep', 'er', 'file'), 'z'.repeat(20_000))
  linkSync(join(mount.path, 'deep', 'er', 'file'), join(mount.path, 'again'))
}

/** What no image, entry or mount holds: leftovers, strays, and what those who use the store keep in its folder. */
function litter(root: string): void {
  const put = (path: string, bytes: number): void => {
    mkdirSync(join(root, path, '..'), { recursive: true })
    writeFileSync(join(root, path), 'w'.repeat(bytes))
  }
  for (const path of [`content/blobs/sha256/${'f'.repeat(64)}`, 'layers/zzzzz/file', 'snapshots/zzzzy/fs/file', 'mounts/unknown/file', `trash/${randomUUID()}/a/b`, `sessions/${randomUUID()}/1`]) put(path, 12_000)
  const [resumable, abandoned] = ['resumable', 'abandoned'].map((text) => `incoming/${sha256(text).replace(':', '-')}`)
  for (const path of [resumable, abandoned]) put(path ?? '', 50_000)
  utimesSync(join(root, abandoned ?? ''), 1, 1)
  for (const [path, bytes] of [['builds/1/report.json', 6_000], ['containers/2/log', 40_000], ['transfers/uploads/3', 100]] as const) put(path, bytes)
}

async function damage(root: string): Promise<void> {
  const store = await openStore(root)
  const blob = await store.content.write(Buffer.alloc(25_000, 'damaged'), 'application/octet-stream')
  writeFileSync(join(root, 'content', 'blobs', 'sha256', blob.digest.slice(7)), Buffer.alloc(25_000, 'other'))
  await repair(store, { fetchBlob: () => Promise.resolve(false) }, task)
  await store[Symbol.asyncDispose]()
}

describe.each<LayerFormatName>(['overlay', 'erofs'])('df of a store in format %s', (format) => {
  const stores = useStores(folder, format)

  it('accounts for every byte and inode of an empty store', async () => {
    const store = await stores.open()
    const { total, own, reserve } = await measureUsage(store, task)
    expect(total).toEqual(du(store.root))
    expect(total).toEqual(addSizes([own, reserve]))
  })

  it('accounts for every byte and inode of a store with everything in it, each for what it is', async () => {
    const root = stores.newRoot()
    await damage(root)
    const filled = await stores.open(root)
    await fill(filled)
    await filled[Symbol.asyncDispose]()
    const store = await stores.open(root)
    const running = await stores.open(root)
    const base = await applied(running, file('running', 'v'.repeat(33_000)))
    const snapshot = await running.layers.prepare(base.chainId)
    writeFileSync(join(writableFolder(snapshot), 'unfinished'), 'u'.repeat(17_000))
    await running.content.write(Buffer.alloc(30_000, 'leased'), 'application/octet-stream')
    litter(root)
    const usage = await measureUsage(store, task)
    expect(usage.total).toEqual(du(root))
    const { images, cache, mounts, underway, garbage, quarantine, reserve, records, own } = usage
    expect(addSizes([images.size, cache.size, mounts.size, underway, garbage, quarantine, reserve, own, ...records.map(({ size }) => size)])).toEqual(usage.total)
    expect(quarantine).toEqual(du(join(root, 'quarantine')))
    expect(quarantine.bytes).toBeGreaterThan(25_000)
    expect(reserve).toEqual(du(join(root, 'reserve')))
    expect(mounts.size).toEqual(minus(du(join(root, 'mounts')), addSizes([du(join(root, 'mounts', 'unknown')), { bytes: 4096, inodes: 1 }])))
    expect(records).toEqual(['builds', 'containers', 'transfers'].map((name) => ({ folder: name, size: du(join(root, name)) })))
    await snapshot[Symbol.asyncDispose]()
    await running[Symbol.asyncDispose]()
    await gc(store, task, { dryRun: false })
  })

  it('calls unused exactly what gc then frees', async () => {
    const root = stores.newRoot()
    const filled = await stores.open(root)
    await fill(filled)
    await filled.content.write(Buffer.alloc(30_000, 'unneeded'), 'application/octet-stream')
    await filled[Symbol.asyncDispose]()
    const store = await stores.open(root)
    litter(root)
    const before = await measureUsage(store, task)
    const predicted = await gc(store, task, { dryRun: true })
    expect(before.garbage).toMatchObject({ bytes: predicted.bytes, inodes: predicted.inodes, layers: predicted.layers, blobs: predicted.blobs })
    expect(predicted.inodes).toBe(15)
    expect(await gc(store, task, { dryRun: false })).toEqual(predicted)
    const after = await measureUsage(store, task)
    expect(after.garbage).toEqual({ bytes: 0, inodes: 0, layers: 0, blobs: 0 })
    expect(after.total).toEqual(du(root))
    expect(minus(minus(before.total, before.own), minus(after.total, after.own))).toEqual({ bytes: predicted.bytes, inodes: predicted.inodes })
  })
})
