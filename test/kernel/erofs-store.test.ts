import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import type { FormatPolicy, Layer, Store } from '../../storage/index.ts'
import { convertLayers, describeFormat, fsck, gc, mountImage, openStore, packChangeset, probeErofs } from '../../storage/index.ts'
import { tryMount } from '../../storage/erofs/mount-layers.ts'
import { workInOverlay, writableFolder } from '../support/overlay.ts'
import { useStores } from '../support/stores.ts'
import { collect, stream, task } from '../support/streams.ts'
import { archive, directory, file, hardLink, symlink } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const folder = useTemporaryFolder('erofs-store')
const indexing = useStores(folder, 'erofs')

async function withStore<T>(root: string, format: FormatPolicy | undefined, work: (store: Store) => Promise<T>): Promise<T> {
  await using store = await openStore(root, format === undefined ? {} : { format })
  return await work(store)
}

async function commit(store: Store, parent: Layer, change: (upperdir: string) => void): Promise<Layer> {
  await using snapshot = await store.layers.prepare(parent.chainId)
  workInOverlay(snapshot.rootfs, [{ do: 'write', path: 'd/written', bytes: 3 }, { do: 'unlink', path: 'd/a' }], mkdtempSync(join(folder, 'work-')))
  change(writableFolder(snapshot))
  return await snapshot.commit(task)
}

async function treeOf(store: Store, layer: Layer): Promise<readonly string[]> {
  await using snapshot = await store.layers.prepare(layer.chainId)
  return workInOverlay(snapshot.rootfs, [], mkdtempSync(join(folder, 'look-'))).tree
}

/** A stack of three layers, of somebody else, committed and committed, made in the formats given. */
async function makeStack(root: string, formats: readonly [FormatPolicy, FormatPolicy, FormatPolicy]): Promise<Layer[]> {
  const base = archive(directory('d/'), file('d/a', 'a'), file('d/b', 'b'.repeat(5000)), symlink('l', 'd'), hardLink('d/c', 'd/b'))
  const bottom = await withStore(root, formats[0], (store) => store.layers.apply(undefined, stream(base), undefined, task))
  const middle = await withStore(root, formats[1], (store) => commit(store, bottom, (upper) => { writeFileSync(join(upper, 'middle'), 'm') }))
  const top = await withStore(root, formats[2], (store) => commit(store, middle, (upper) => { writeFileSync(join(upper, 'top'), 't') }))
  return [bottom, middle, top]
}

async function expectClean(root: string): Promise<void> {
  await using store = await openStore(root)
  expect((await fsck(store, task)).findings).toEqual([])
}

/** As if the machine had been booted since. */
function forgetBoot(root: string): void {
  const database = new DatabaseSync(join(root, 'state.db'))
  database.exec("UPDATE settings SET value = 'another ' || value WHERE name = 'verified-layers'")
  database.close()
}

const names = (root: string): string[] => readdirSync(join(root, 'layers'))
const tars = (root: string): number => names(root).filter((name) => name.endsWith('.tar')).length

describe('layers of both formats', () => {
  it('lie on each other, and give the layers that one format gives', async () => {
    const roots = ['overlay', 'erofs', 'mixed', 'other'].map((name) => join(folder, `stack-${name}`))
    const formats = [['overlay', 'overlay', 'overlay'], ['erofs', 'erofs', 'erofs'], ['overlay', 'erofs', 'overlay'], ['erofs', 'overlay', 'erofs']] as const
    const seen: { readonly chain: unknown; readonly tree: readonly string[] }[] = []
    for (const [index, root] of roots.entries()) {
      const layers = await makeStack(root, formats[index] ?? formats[0])
      const top = layers[2]
      if (top === undefined) throw new TypeError('three were made')
      seen.push({ chain: layers.map(({ chainId }) => chainId), tree: (await withStore(root, 'overlay', (store) => treeOf(store, top))).map((line) => line.replace(/ @\d+/gu, '')) })
      await expectClean(root)
    }
    // Times of what was written differ, and with them the layers; their number and their trees do not.
    expect(new Set(seen.map(({ tree }) => JSON.stringify(tree))).size).toBe(1)
    expect(seen[0]?.tree.length).toBeGreaterThan(6)
  })

  it('are converted, and give the same bytes and trees before and after', async () => {
    const root = join(folder, 'converted')
    const layers = await makeStack(root, ['overlay', 'overlay', 'overlay'])
    const look = async (): Promise<unknown> => withStore(root, 'overlay', async (store) => {
      const bytes = []
      for (const layer of layers) bytes.push((await collect(store.layers.changeset(layer.chainId, task))).toString('latin1'))
      return { bytes, trees: [await treeOf(store, layers[2] ?? layers[0] as Layer)] }
    })
    const before = await look()
    expect(await withStore(root, 'overlay', (store) => convertLayers(store, 'erofs', task))).toEqual({ converted: 3, unchanged: 0, inUse: 0 })
    expect(tars(root)).toBe(3)
    expect(names(root).length).toBe(6)
    expect(await look()).toEqual(before)
    await expectClean(root)
    await using plain = await openStore(root)
    expect(await describeFormat(plain)).toMatchObject({ chosen: process.env['TSBUILD_LAYER_FORMAT'] || 'erofs', layers: { overlay: 0, erofs: 3 } })
    await plain[Symbol.asyncDispose]()
    expect(await withStore(root, 'erofs', (store) => convertLayers(store, 'overlay', task))).toEqual({ converted: 3, unchanged: 0, inUse: 0 })
    expect(tars(root)).toBe(0)
    expect(await look()).toEqual(before)
    await expectClean(root)
  })

  it('are converted as far as nobody uses them, and the rest the next time', async () => {
    const root = join(folder, 'used')
    const [bottom, middle] = await makeStack(root, ['overlay', 'overlay', 'overlay'])
    const user = await openStore(root, { format: 'overlay' })
    user.layers.find(middle?.chainId ?? (bottom as Layer).chainId)
    expect(await withStore(root, 'overlay', (store) => convertLayers(store, 'erofs', task))).toEqual({ converted: 1, unchanged: 0, inUse: 2 })
    expect((await user.layers.view(middle?.chainId).list('/')).map(String)).toEqual(['d', 'l', 'middle'])
    await user[Symbol.asyncDispose]()
    expect(await withStore(root, 'overlay', (store) => convertLayers(store, 'erofs', task))).toEqual({ converted: 2, unchanged: 1, inUse: 0 })
    await expectClean(root)
  })

  it.each(['erofs', 'overlay'] as const)('are converted to %s in as many goes as it takes', async (to) => {
    const root = join(folder, `interrupted-${to}`)
    const from = to === 'erofs' ? 'overlay' : 'erofs'
    await makeStack(root, [from, from, from])
    const [before, after] = to === 'erofs' ? [0, 3] : [3, 0]
    const controller = new AbortController()
    const watch = setInterval(() => { if (tars(root) !== before) controller.abort(new Error('enough')) }, 1)
    await expect(withStore(root, from, (store) => convertLayers(store, to, { ...task, signal: controller.signal }))).rejects.toThrow('enough')
    clearInterval(watch)
    await expectClean(root)
    const { converted } = await withStore(root, from, (store) => convertLayers(store, to, task))
    expect(converted).toBeGreaterThan(0)
    expect(tars(root)).toBe(after)
    await expectClean(root)
  })
})

describe('a layer as tar and index', () => {
  it('takes two inodes, and gives both back', async () => {
    const root = indexing.newRoot()
    const store = await indexing.open(root)
    const layer = await store.layers.apply(undefined, stream(archive(file('a'), file('b'))), undefined, task)
    await store.layers.sync(task)
    expect(layer.inodes).toBe(2)
    expect(names(root).length).toBe(2)
    await store[Symbol.asyncDispose]()
    const collector = await indexing.open(root)
    expect(await gc(collector, task, { dryRun: false })).toMatchObject({ layers: 1, inodes: 2 })
    expect(names(root)).toEqual([])
  })

  it.each([['tar', 'layer-diff-id', 600], ['index', 'layer-index', 1540]] as const)('is found out when its %s was damaged', async (part, check, offset) => {
    const root = join(folder, `damaged-${part}`)
    await withStore(root, 'erofs', (store) => store.layers.apply(undefined, stream(archive(file('a', 'x'.repeat(1000)))), undefined, task))
    const name = names(root).find((candidate) => candidate.endsWith('.tar') === (part === 'tar')) ?? ''
    const file_ = openSync(join(root, 'layers', name), 'r+')
    writeSync(file_, 'damage', offset)
    closeSync(file_)
    await using store = await openStore(root)
    expect((await fsck(store, task)).findings.map((finding) => finding.check)).toEqual([check])
  })

  it('is compared with its diffID before its first mount since boot, when that is asked for', async () => {
    const root = join(folder, 'verified')
    const layer = await withStore(root, 'erofs', (store) => store.layers.apply(undefined, stream(archive(file('a', 'x'.repeat(1000)))), undefined, task))
    const damage = (): void => {
      const tar = openSync(join(root, 'layers', names(root).find((name) => name.endsWith('.tar')) ?? ''), 'r+')
      writeSync(tar, 'damage', 600)
      closeSync(tar)
    }
    const prepare = async (): Promise<void> => {
      await using store = await openStore(root, { verifiesLayers: true })
      await (await store.layers.prepare(layer.chainId))[Symbol.asyncDispose]()
    }
    await prepare()
    damage()
    await prepare()
    forgetBoot(root)
    await expect(prepare()).rejects.toMatchObject({ code: 'STORAGE_LAYER_DAMAGED', diffId: layer.diffId })
    await using careless = await openStore(root)
    await (await careless.layers.prepare(layer.chainId))[Symbol.asyncDispose]()
  })

  it('is shown at a directory, and stays there when it is collected', async () => {
    const root = indexing.newRoot()
    const mountpoint = join(folder, 'mounted')
    mkdirSync(mountpoint)
    const store = await indexing.open(root)
    const layer = await store.layers.apply(undefined, stream(archive(directory('d/'), file('d/a', 'hello'))), undefined, task)
    await mountImage(store, { top: layer.chainId, directory: mountpoint }, task)
    try {
      await store[Symbol.asyncDispose]()
      await gc(await indexing.open(root), task, { dryRun: false })
      expect(names(root)).toEqual([])
      expect(execFileSync('cat', [join(mountpoint, 'd', 'a')], { encoding: 'utf8' })).toBe('hello')
      expect(() => { writeFileSync(join(mountpoint, 'new'), '') }).toThrow(/EROFS/u)
    } finally {
      execFileSync('umount', [mountpoint])
    }
  })

  it('gives a file its second name in a container as one file, however many layers there are', async () => {
    const root = join(folder, 'linked')
    const [, , top] = await makeStack(root, ['erofs', 'erofs', 'erofs'])
    const tree = await withStore(root, 'erofs', async (store) => {
      await using snapshot = await store.layers.prepare(top?.chainId)
      return workInOverlay(snapshot.rootfs, [{ do: 'link', path: 'middle', to: 'second' }], mkdtempSync(join(folder, 'work-'))).tree
    })
    expect(tree).toContain('./second = ./middle')
  })

  it('is mounted by loop devices, which are gone afterwards', async () => {
    const root = indexing.newRoot()
    const store = await indexing.open(root)
    await store.layers.apply(undefined, stream(archive(file('a', 'x'))), undefined, task)
    await store.layers.sync(task)
    const path = join(root, 'layers', names(root).find((name) => !name.endsWith('.tar')) ?? '')
    await tryMount([{ kind: 'erofs', path, tar: `${path}.tar`, backing: 'loop' }], task)
    await expect.poll(() => execFileSync('losetup', ['--all', '--output', 'BACK-FILE'], { encoding: 'utf8' })).not.toContain(root)
  })
})

describe('where EROFS layers cannot be mounted', () => {
  const probe = (prefix: readonly string[], at: string): unknown => {
    const script = `import('${join(import.meta.dirname, '..', '..', 'storage', 'erofs', 'erofs-support.ts')}').then(async ({ probeErofs }) => { console.log(JSON.stringify(await probeErofs('${at}'))) })`
    return JSON.parse(execFileSync(prefix[0] ?? '', [...prefix.slice(1), process.execPath, '-e', script], { encoding: 'utf8' }))
  }
  it('says that it takes root', () => {
    expect(probe(['unshare', '--user'], folder)).toMatchObject({ kind: 'unavailable', reason: expect.stringContaining('root') as string })
  })
  it('says so to the root of a user namespace, which is no other', () => {
    expect(probe(['unshare', '--user', '--map-root-user'], folder)).toMatchObject({ kind: 'unavailable', reason: expect.stringContaining('takes root') as string })
  })
  it('takes loop devices on tmpfs, whose files the kernel does not mount', () => {
    const at = mkdtempSync(join(folder, 'tmpfs-'))
    expect(probe(['unshare', '-m', 'sh', '-c', `mount -t tmpfs tmpfs ${at} && exec "$@"`, 'sh'], at)).toEqual({ kind: 'available', backing: 'loop' })
  })
  it('says what failed where there are no loop devices either', () => {
    const at = mkdtempSync(join(folder, 'no-loop-'))
    expect(probe(['unshare', '-m', 'sh', '-c', `mount -t tmpfs tmpfs ${at} && mount --bind /dev/null /dev/loop-control && exec "$@"`, 'sh'], at)).toMatchObject({
      kind: 'unavailable', reason: expect.stringMatching(/^on Linux \S+ and this filesystem a mount of the file failed with E[A-Z]+, a mount by loop devices failed with E[A-Z]+$/u) as string,
    })
  })
  it('names a filesystem that no store can lie on', () => {
    const at = mkdtempSync(join(folder, 'ramfs-'))
    const script = `import('${join(import.meta.dirname, '..', '..', 'storage', 'index.ts')}').then(({ openStore }) => openStore('${at}/store')).then(() => { console.log('opened') }, ({ code, message }) => { console.log(code, message) })`
    const said = execFileSync('unshare', ['-m', 'sh', '-c', `mount -t ramfs ramfs ${at} && exec "$@"`, 'sh', process.execPath, '-e', script], { encoding: 'utf8' })
    expect(said).toContain('STORAGE_DRIVER_UNAVAILABLE')
    expect(said).toContain('has no extended attributes; keep the store on ext4')
  })
  it('finds out anew after the store was moved to another filesystem', async () => {
    const root = join(folder, 'moving')
    await withStore(root, 'erofs', (store) => store.layers.apply(undefined, stream(archive(file('a', 'x'))), undefined, task))
    const at = mkdtempSync(join(folder, 'moved-'))
    const script = `import('${join(import.meta.dirname, '..', '..', 'storage', 'index.ts')}').then(async ({ openStore, describeFormat }) => { console.log((await describeFormat(await openStore('${at}/moving'))).erofs.backing) })`
    const said = execFileSync('unshare', ['-m', 'sh', '-c', `mount -t tmpfs tmpfs ${at} && cp -a ${root} ${at}/ && exec "$@"`, 'sh', process.execPath, '-e', script], { encoding: 'utf8' })
    expect(said).toBe('loop\n')
  })
  it('takes loop devices where files of the filesystem cannot be stacked', () => {
    const at = mkdtempSync(join(folder, 'stacked-'))
    for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(join(at, name))
    const script = `mount -t overlay overlay -o lowerdir=${at}/lower,upperdir=${at}/upper,workdir=${at}/work ${at}/merged && exec "$@"`
    expect(probe(['unshare', '-m', 'sh', '-c', script, 'sh'], join(at, 'merged'))).toEqual({ kind: 'available', backing: 'loop' })
  })
  it('finds out also while others empty the folder, which is that of the trash', async () => {
    const at = mkdtempSync(join(folder, 'emptied-'))
    for (let time = 0; time < 20; time += 1) {
      // So often only: on a busy machine nothing might ever come to its end in between.
      const emptying = spawn('sh', ['-c', `for turn in 1 2 3 4; do rm -rf ${at}/*; sleep 0.013; done`])
      const emptied = once(emptying, 'exit')
      expect(await probeErofs(at)).toEqual({ kind: 'available', backing: 'file' })
      await emptied
    }
  })
  it('refuses a word that names no format', async () => {
    expect(existsSync(join(folder, 'none'))).toBe(false)
    const asked = process.env['TSBUILD_LAYER_FORMAT'] ?? ''
    process.env['TSBUILD_LAYER_FORMAT'] = 'squashfs'
    try {
      await expect(openStore(join(folder, 'none'))).rejects.toMatchObject({ code: 'STORAGE_FORMAT_UNAVAILABLE', format: 'squashfs' })
    } finally {
      process.env['TSBUILD_LAYER_FORMAT'] = asked
    }
  })
})

describe('a store that nobody says anything to', () => {
  const stores = useStores(folder, 'auto')
  const origins = (root: string): unknown[] => {
    const database = new DatabaseSync(join(root, 'state.db'))
    try {
      return database.prepare('SELECT origin FROM layers ORDER BY id').all().map((row) => row['origin'])
    } finally {
      database.close()
    }
  }
  const entries = (count: number) => Array.from({ length: count }, (_, index) => ({ type: 'file' as const, path: Buffer.from(`f${String(index).padStart(4, '0')}`), mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n, content: { kind: 'bytes' as const, bytes: Buffer.from('x') } }))

  it('keeps archives and large trees as images, and small trees as they lie there', async () => {
    const root = stores.newRoot()
    const store = await stores.open(root)
    const base = await store.layers.apply(undefined, stream(archive(file('somebody', 'else'))), undefined, task)
    const small = await store.layers.apply(base.chainId, packChangeset(entries(499), task), undefined, task)
    const large = await store.layers.apply(small.chainId, packChangeset(entries(500), task), undefined, task)
    const few = await commit(store, large, (upper) => { for (let index = 0; index < 100; index += 1) writeFileSync(join(upper, `n${index}`), '') })
    const many = await commit(store, few, (upper) => { for (let index = 0; index < 500; index += 1) writeFileSync(join(upper, `m${index}`), '') })
    expect([base, small, large, few, many].map(({ inodes }) => inodes)).toEqual([2, 500, 2, 101, 2])
    expect((await treeOf(store, many)).length).toBeGreaterThan(1100)
    await store.layers.sync(task)
    expect(origins(root)).toEqual(['indexed', 'packed', 'indexed', 'committed', 'indexed'])
    expect(await describeFormat(store)).toMatchObject({ chosen: 'auto', layers: { overlay: 2, erofs: 3 } })
    await store[Symbol.asyncDispose]()
    expect(await withStore(root, 'auto', (again) => convertLayers(again, 'overlay', task))).toEqual({ converted: 3, unchanged: 2, inUse: 0 })
    expect(await withStore(root, 'auto', (again) => convertLayers(again, 'auto', task))).toEqual({ converted: 3, unchanged: 2, inUse: 0 })
    expect(await withStore(root, 'auto', (again) => convertLayers(again, 'overlay', task))).toMatchObject({ converted: 3 })
    expect(await withStore(root, undefined, (again) => describeFormat(again))).toMatchObject(process.env['TSBUILD_LAYER_FORMAT'] ? {} : { chosen: 'overlay', reason: 'the store was converted to it' })
  })

  it('mounts an image once for all its steps, where nobody sees it', async () => {
    const store = await stores.open()
    const base = await store.layers.apply(undefined, stream(archive(directory('d/'), file('d/a', 'a'))), undefined, task)
    // Without what other tests mount at the same time.
    const seen = (): string[] => readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => line.includes(store.root))
    expect(seen()).toEqual([])
    const held = (): string | undefined => store.layers.lowers(base.chainId).map((lower) => lower.kind === 'erofs' ? lower.held : undefined)[0]
    const path = held() ?? ''
    expect(readdirSync(path)).toEqual(['d'])
    expect(await treeOf(store, base)).toEqual(await treeOf(store, base))
    expect(held()).toBe(path)
    expect(seen()).toEqual([])
    await store[Symbol.asyncDispose]()
    expect(existsSync(path)).toBe(false)
  })

  it('keeps all layers unpacked, and says why, where images would take loop devices or more rights', () => {
    const at = mkdtempSync(join(folder, 'unsuited-'))
    const script = `import('${join(import.meta.dirname, '..', '..', 'storage', 'index.ts')}').then(async ({ openStore, describeFormat }) => { const { chosen, reason } = await describeFormat(await openStore('${at}/store')); console.log(chosen, reason) })`
    const say = (prefix: string): string => execFileSync('unshare', ['-m', 'sh', '-c', `${prefix} "$@"`, 'sh', process.execPath, '-e', script], { encoding: 'utf8', env: { ...process.env, TSBUILD_LAYER_FORMAT: '' } })
    expect(say(`mount -t tmpfs tmpfs ${at} && exec`)).toMatch(/^overlay EROFS images can be mounted by loop devices only, which are left to those who ask/u)
    expect(say('exec setpriv --bounding-set -sys_admin')).toMatch(/^overlay mounting them takes CAP_SYS_ADMIN/u)
    expect(say('exec unshare --user --map-root-user')).toMatch(/^overlay mounting them takes root of the system/u)
  })

  it('names the way out where its images cannot be mounted any more, and can be taken', async () => {
    const root = join(folder, 'without-rights')
    const layers = await makeStack(root, ['auto', 'overlay', 'erofs'])
    const top = layers[2]?.chainId ?? ''
    const script = `import('${join(import.meta.dirname, '..', '..', 'storage', 'index.ts')}').then(async ({ openStore, convertLayers }) => {
      const task = { signal: new AbortController().signal, emit() {} }
      await using store = await openStore('${root}')
      try { store.layers.lowers('${top}') } catch ({ code, message }) { console.log(code, message) }
      await store[Symbol.asyncDispose]()
      await using again = await openStore('${root}')
      console.log(JSON.stringify(await convertLayers(again, 'overlay', task)), again.layers.lowers('${top}').map(({ kind }) => kind).join())
    })`
    const { TSBUILD_LAYER_FORMAT: _forced, ...env } = process.env
    const said = execFileSync('setpriv', ['--bounding-set', '-sys_admin', process.execPath, '-e', script], { encoding: 'utf8', env })
    expect(said).toMatch(/^STORAGE_FORMAT_UNAVAILABLE .*"tsbuild store convert --to overlay" unpacks those that are there\n\{"converted":2,"unchanged":1,"inUse":0\} directory,directory,directory\n$/u)
    await expectClean(root)
  })
})
