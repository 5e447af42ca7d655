import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, linkSync, mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { getAddon } from '../../native/index.ts'
import { chainId, sha256 } from '../../oci/digest.ts'
import type { ChangesetEntry, Layer, Snapshot, Store } from '../../storage/index.ts'
import { packChangeset } from '../../storage/index.ts'
import { listTar } from '../support/list-tar.ts'
import { workInOverlay, writableFolder } from '../support/overlay.ts'
import type { Stores } from '../support/stores.ts'
import { collect, stream, task } from '../support/streams.ts'
import { archive, directory, file, forge, forgePax, hardLink, symlink } from '../support/tar-forge.ts'
import type { TreeOperation } from '../support/tree-operations.ts'

export const emptyDiffId = 'sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef'

const base = archive(
  directory('etc/'), file('etc/passwd', 'root\n'), file('etc/shadow', 'secret'), directory('lib/'), file('lib/a', 'a'), file('lib/b', 'b'),
  directory('lib/sub/'), file('lib/sub/c', 'c'), symlink('bin', 'usr/bin'), directory('usr/'), directory('usr/bin/'), file('usr/bin/sh', '#!'),
)

/** What every layer store must do, whichever way it keeps layers. */
export function testLayerStore(stores: Stores, folder: string): void {
  const applyBase = (store: Store): Promise<Layer> => store.layers.apply(undefined, stream(base), undefined, task)
  const run = async (snapshot: Snapshot, ...operations: TreeOperation[]): Promise<void> => {
    const { errors } = workInOverlay(snapshot.rootfs, operations, mkdtempSync(join(folder, 'work-')))
    expect(errors.filter((error) => error !== null)).toEqual([])
    await Promise.resolve()
  }
  const commitAfter = async (store: Store, parent: Layer, ...operations: TreeOperation[]): Promise<Layer> => {
    await using snapshot = await store.layers.prepare(parent.chainId)
    await run(snapshot, ...operations)
    return await snapshot.commit(task)
  }
  const names = async (store: Store, layer: Layer): Promise<string[]> => (await listTar(await collect(store.layers.changeset(layer.chainId, task)))).map((entry) => entry.name)

  it('gives back the exact bytes of an archive of somebody else', async () => {
    const store = await stores.open()
    const layer = await applyBase(store)
    expect(layer).toMatchObject({ diffId: sha256(base), chainId: sha256(base), parent: undefined, tarBytes: base.length, inodes: stores.inodes(13) })
    expect(await collect(store.layers.changeset(layer.chainId, task))).toEqual(base)
  })

  it('keeps equal content once and lets the second stream be', async () => {
    const store = await stores.open()
    const first = await applyBase(store)
    let wasRead = false
    async function* bytes(): AsyncGenerator<Uint8Array> {
      wasRead = true
      yield* stream(base)
    }
    expect(await store.layers.apply(undefined, bytes(), first.diffId, task)).toEqual(first)
    expect(wasRead).toBe(false)
    expect(await applyBase(store)).toEqual(first)
  })

  it('refuses a changeset that is not the expected one and keeps nothing of it', async () => {
    const store = await stores.open()
    const wrong = sha256('something else') as string as Layer['diffId']
    await expect(store.layers.apply(undefined, stream(base), wrong, task)).rejects.toMatchObject({ code: 'STORAGE_DIFFID_MISMATCH', expected: wrong, actual: sha256(base) })
    expect(store.layers.find(chainId(undefined, wrong))).toBeUndefined()
  })

  it('commits an untouched snapshot as the well-known empty layer', async () => {
    const store = await stores.open()
    const parent = await applyBase(store)
    const layer = await commitAfter(store, parent)
    expect(layer).toMatchObject({ diffId: emptyDiffId, chainId: chainId(parent.chainId, layer.diffId), inodes: 0, diskBytes: 0, tarBytes: 1024 })
    expect(await collect(store.layers.changeset(layer.chainId, task))).toEqual(Buffer.alloc(1024))
    const onTop = await commitAfter(store, layer, { do: 'write', path: 'etc/new', bytes: 3 })
    expect(await names(store, onTop)).toEqual(['etc/', 'etc/new'])
  })

  it('writes whiteouts for what was deleted and nothing for what came and went', async () => {
    const store = await stores.open()
    const layer = await commitAfter(store, await applyBase(store),
      { do: 'unlink', path: 'etc/shadow' }, { do: 'remove', path: 'lib' }, { do: 'write', path: 'gone', bytes: 1 }, { do: 'unlink', path: 'gone' })
    const entries = await listTar(await collect(store.layers.changeset(layer.chainId, task)))
    expect(entries.map((entry) => entry.name)).toEqual(['etc/', 'etc/.wh.shadow', '.wh.lib'])
    expect(entries[1]).toMatchObject({ type: 'file', size: 0, mode: 0, uid: 0, gid: 0, mtime: 0 })
  })

  it('marks a directory opaque when it hides one, and only then', async () => {
    const store = await stores.open()
    const layer = await commitAfter(store, await applyBase(store),
      { do: 'remove', path: 'lib' }, { do: 'mkdir', path: 'lib' }, { do: 'write', path: 'lib/b', bytes: 1 },
      { do: 'mkdir', path: 'usr/new' }, { do: 'unlink', path: 'etc/passwd' }, { do: 'mkdir', path: 'etc/passwd' })
    expect(await names(store, layer)).toEqual(['etc/', 'etc/passwd/', 'lib/', 'lib/.wh..wh..opq', 'lib/b', 'usr/', 'usr/new/'])
  })

  it('replaces directories by files and links, and the other way round', async () => {
    const store = await stores.open()
    const layer = await commitAfter(store, await applyBase(store),
      { do: 'remove', path: 'lib/sub' }, { do: 'write', path: 'lib/sub', bytes: 2 }, { do: 'unlink', path: 'bin' }, { do: 'mkdir', path: 'bin' },
      { do: 'remove', path: 'etc' }, { do: 'symlink', path: 'etc', target: '/usr' })
    const entries = await listTar(await collect(store.layers.changeset(layer.chainId, task)))
    expect(entries.map((entry) => [entry.name, entry.type])).toEqual([['bin/', 'directory'], ['etc', 'symlink'], ['lib/', 'directory'], ['lib/sub', 'file']])
  })

  it('keeps hard links, attributes, capabilities, devices and odd modes', async () => {
    const store = await stores.open()
    const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex')
    await using snapshot = await store.layers.prepare(undefined)
    const upper = writableFolder(snapshot)
    writeFileSync(join(upper, 'b'), 'content')
    linkSync(join(upper, 'b'), join(upper, 'a'))
    getAddon().setXattr(join(upper, 'b'), 'user.two', Buffer.from([0, 255, 10, 61]))
    getAddon().setXattr(join(upper, 'b'), 'user.one', Buffer.from(''))
    getAddon().setXattr(join(upper, 'b'), 'security.selinux', Buffer.from('system_u:object_r:bin_t:s0\0'))
    // What a process sets is stored by overlayfs under this name.
    getAddon().setXattr(join(upper, 'b'), snapshot.rootfs.kind === 'overlay' ? 'trusted.overlay.overlay.opaque' : 'trusted.overlay.opaque', Buffer.from('y'))
    writeFileSync(join(upper, 'ping'), '')
    chownSync(join(upper, 'ping'), 3_000_000, 65534)
    chmodSync(join(upper, 'ping'), 0o6755)
    getAddon().setXattr(join(upper, 'ping'), 'security.capability', capability)
    execFileSync('mknod', [join(upper, 'null'), 'c', '1', '3'])
    utimesSync(join(upper, 'null'), new Date(-5000), new Date(-5000))
    mkdirSync(join(upper, 'tmp'))
    chmodSync(join(upper, 'tmp'), 0o1777)
    const layer = await snapshot.commit(task)
    const entries = await listTar(await collect(store.layers.changeset(layer.chainId, task)))
    expect(entries.map((entry) => [entry.name, entry.type, entry.mode.toString(8)])).toEqual([
      ['a', 'file', '644'], ['b', 'link', '644'], ['null', 'character-device', '644'], ['ping', 'file', '6755'], ['tmp/', 'directory', '1777'],
    ])
    expect(entries[0]?.xattrs).toEqual({ 'trusted.overlay.opaque': '79', 'user.one': '', 'user.two': '00ff0a3d' })
    expect(entries[1]).toMatchObject({ linkname: 'a' })
    expect(entries[2]).toMatchObject({ mtime: -5, devmajor: 1, devminor: 3 })
    expect(entries[3]).toMatchObject({ uid: 3_000_000, gid: 65534, xattrs: { 'security.capability': capability.toString('hex') } })
    const view = store.layers.view(layer.chainId)
    expect(await view.lstat('/ping')).toMatchObject({ mode: 0o6755, uid: 3_000_000 })
    expect(await view.xattrs('/a')).toEqual(new Map([['user.two', Buffer.from([0, 255, 10, 61])], ['user.one', Buffer.from('')], ['trusted.overlay.opaque', Buffer.from('y')]]))
    const copy = await (await stores.open()).layers.apply(undefined, stream(await collect(store.layers.changeset(layer.chainId, task))), layer.diffId, task)
    expect(copy.inodes).toBe(layer.inodes)
  })

  it('keeps names of any bytes and paths of any length', async () => {
    const store = await stores.open()
    const [long, longOf] = ['d'.repeat(stores.longestName), `\xe9${'e'.repeat(stores.longestName - 1)}`]
    const layer = await commitAfter(store, await applyBase(store),
      { do: 'write', path: 'n\xff\xfe\n', bytes: 1 }, { do: 'mkdir', path: long }, { do: 'write', path: `${long}/${longOf}`, bytes: 1 },
      { do: 'symlink', path: 'long', target: `/\xff${'t'.repeat(300)}` }, { do: 'write', path: 'übung', bytes: 1 })
    const entries = await listTar(await collect(store.layers.changeset(layer.chainId, task)))
    expect(entries.map((entry) => entry.name)).toEqual([`${long}/`, `${long}/${longOf}`, 'long', 'n\xff\xfe\n', '\xfcbung'])
    expect(entries[2]).toMatchObject({ linkname: `/\xff${'t'.repeat(300)}` })
    const other = await stores.open()
    const parent = await applyBase(other)
    const copy = await other.layers.apply(parent.chainId, stream(await collect(store.layers.changeset(layer.chainId, task))), layer.diffId, task)
    expect((await other.layers.view(copy.chainId).list('/')).map((name) => name.toString('latin1'))).toContain('n\xff\xfe\n')
  })

  it('commits, applies and forgets trees deeper than any path', async () => {
    const store = await stores.open()
    await using snapshot = await store.layers.prepare(undefined)
    execFileSync('perl', ['-e', 'for (1..3000) { mkdir "deep" or die; chdir "deep" or die } open F, ">file"; print F "x"; chmod 0, "."'], { cwd: writableFolder(snapshot) })
    const layer = await snapshot.commit(task)
    expect(layer.inodes).toBe(stores.inodes(3002))
    const other = await stores.open()
    expect(await other.layers.apply(undefined, store.layers.changeset(layer.chainId, task), layer.diffId, task)).toMatchObject({ inodes: stores.inodes(3002) })
  })

  it('reads sparse files whole', async () => {
    const store = await stores.open()
    await using snapshot = await store.layers.prepare(undefined)
    const path = join(writableFolder(snapshot), 'sparse')
    writeFileSync(path, 'start')
    truncateSync(path, 5_000_000)
    execFileSync('sh', ['-c', `printf end >> '${path}'`])
    const layer = await snapshot.commit(task)
    const bytes = await collect(store.layers.changeset(layer.chainId, task))
    expect(bytes.subarray(512, 512 + 5_000_003)).toEqual(Buffer.concat([Buffer.from('start'), Buffer.alloc(4_999_995), Buffer.from('end')]))
  })

  it('leaves sockets out and does not let what they replaced come back', async () => {
    const store = await stores.open()
    const parent = await applyBase(store)
    await using snapshot = await store.layers.prepare(parent.chainId)
    const upper = writableFolder(snapshot)
    rmSync(join(upper, 'bin'), { force: true })
    for (const name of ['bin', 'new']) execFileSync('perl', ['-MIO::Socket::UNIX', '-e', 'IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die', name], { cwd: upper })
    expect(await names(store, await snapshot.commit(task))).toEqual(['.wh.bin'])
  })

  it('refuses to commit a file that would read as a whiteout', async () => {
    const store = await stores.open()
    const parent = await applyBase(store)
    await using snapshot = await store.layers.prepare(parent.chainId)
    mkdirSync(join(writableFolder(snapshot), 'etc'), { recursive: true })
    writeFileSync(join(writableFolder(snapshot), 'etc/.wh.passwd'), '1')
    await expect(snapshot.commit(task)).rejects.toMatchObject({ code: 'STORAGE_UNREPRESENTABLE', rule: 'named-like-whiteout', path: Buffer.from('etc/.wh.passwd') })
  })

  it('leaves the root directory itself to whoever shows the tree, as Docker does', async () => {
    const store = await stores.open()
    const parent = await store.layers.apply(undefined, stream(archive(forge({ name: './', type: '5', mode: '0000700' }), file('x'))), undefined, task)
    await using snapshot = await store.layers.prepare(parent.chainId)
    const upperdir = writableFolder(snapshot)
    expect(statSync(upperdir)).toMatchObject({ mode: 0o40755, uid: 0, gid: 0 })
    chmodSync(upperdir, 0o1777)
    expect(await names(store, await snapshot.commit(task))).toEqual([])
  })

  it('gives the same layer for the same changes, whatever the store', async () => {
    const operations: TreeOperation[] = [
      { do: 'write', path: 'etc/passwd', bytes: 9 }, { do: 'utimes', path: 'etc/passwd', seconds: 1000 }, { do: 'utimes', path: 'etc', seconds: 1000 },
      { do: 'unlink', path: 'lib/a' }, { do: 'utimes', path: 'lib', seconds: 1000 },
    ]
    const layers: Layer[] = []
    for (const store of [await stores.open(), await stores.open()]) layers.push(await commitAfter(store, await applyBase(store), ...operations))
    expect(layers[0]?.chainId).toBe(layers[1]?.chainId)
  })

  it('shows layers to others once they are durable, and not before', async () => {
    const root = stores.newRoot()
    const [one, other] = [await stores.open(root), await stores.open(root)]
    const layer = await applyBase(one)
    const next = await commitAfter(one, layer, { do: 'write', path: 'x', bytes: 1 })
    expect(other.layers.find(next.chainId)).toBeUndefined()
    await one.layers.sync(task)
    expect(other.layers.find(next.chainId)).toMatchObject({ diffId: next.diffId, tarBytes: next.tarBytes, inodes: next.inodes })
    expect(await collect(other.layers.changeset(next.chainId, task))).toEqual(await collect(one.layers.changeset(next.chainId, task)))
  })

  it('settles calls of sync that come together', async () => {
    const root = stores.newRoot()
    const store = await stores.open(root)
    const layer = await applyBase(store)
    const first = store.layers.sync(task)
    const next = await commitAfter(store, layer, { do: 'write', path: 'x', bytes: 1 })
    await Promise.all([first, store.layers.sync(task), store.layers.sync(task)])
    const other = await stores.open(root)
    expect(other.layers.find(next.chainId)).toBeDefined()
  })

  it('forgets a snapshot that is disposed, whatever is in it', async () => {
    const store = await stores.open()
    const parent = await applyBase(store)
    const snapshot = await store.layers.prepare(parent.chainId)
    await run(snapshot, { do: 'write', path: 'x', bytes: 1 })
    await snapshot[Symbol.asyncDispose]()
    await snapshot[Symbol.asyncDispose]()
    expect(await commitAfter(store, parent)).toMatchObject({ diffId: emptyDiffId })
  })

  it('refuses a parent that is not there', async () => {
    const store = await stores.open()
    const missing = chainId(undefined, sha256('x') as string as Layer['diffId'])
    await expect(store.layers.prepare(missing)).rejects.toMatchObject({ code: 'STORAGE_LAYER_MISSING', chainId: missing })
    await expect(store.layers.apply(missing, stream(base), undefined, task)).rejects.toMatchObject({ code: 'STORAGE_LAYER_MISSING' })
  })

  it('packs a list of entries into a layer that packs again to the same bytes', async () => {
    const store = await stores.open()
    const parent = await applyBase(store)
    const metadata = { mode: 0o644, uid: 7, gid: 8, mtimeNs: 1_500_000_000_999_999_999n }
    const list: ChangesetEntry[] = [
      { ...metadata, path: Buffer.from('app'), type: 'directory', mode: 0o755, xattrs: new Map([['user.b', Buffer.from('2')], ['user.a', Buffer.from('1')]]) },
      { path: Buffer.from('app'), type: 'opaque' },
      { ...metadata, path: Buffer.from('app/bytes'), type: 'file', content: { kind: 'bytes', bytes: Buffer.alloc(1_500_000, 'b') } },
      { ...metadata, path: Buffer.from('app/link'), type: 'hard-link', target: Buffer.from('app/bytes') },
      { ...metadata, path: Buffer.from('app/sh'), type: 'file', content: await store.layers.view(parent.chainId).content('/usr/bin/sh') },
      { ...metadata, path: Buffer.from('app-1'), type: 'symlink', target: Buffer.from('app'), mode: 0o777 },
      { path: Buffer.from('lib'), type: 'whiteout' },
      { ...metadata, path: Buffer.from('zero'), type: 'char', major: 1, minor: 5 },
    ]
    const layer = await store.layers.apply(parent.chainId, packChangeset(list, task), undefined, task)
    const bytes = await collect(store.layers.changeset(layer.chainId, task))
    expect(bytes).toEqual(await collect(packChangeset(list, task)))
    expect(sha256(bytes)).toBe(layer.diffId)
    const entries = await listTar(bytes)
    expect(entries.map((entry) => entry.name)).toEqual(['app/', 'app/.wh..wh..opq', 'app/bytes', 'app/link', 'app/sh', 'app-1', '.wh.lib', 'zero'])
    expect(entries[0]).toMatchObject({ mtime: 1_500_000_000, uid: 7, gid: 8, xattrs: { 'user.a': '31', 'user.b': '32' } })
    expect((await store.layers.view(layer.chainId).readFile('/app/sh', 100)).toString()).toBe('#!')
    expect((await store.layers.view(layer.chainId).list('/')).map(String)).toEqual(['app', 'app-1', 'bin', 'etc', 'usr', 'zero'])
  })

  it('looks through the layers as a process in them would', async () => {
    const store = await stores.open()
    const parent = await applyBase(store)
    const layer = await store.layers.apply(parent.chainId, stream(archive(
      file('lib/.wh.a', ''), directory('lib/sub/'), file('lib/sub/.wh..wh..opq', ''), file('lib/sub/new', 'new'),
      forgePax({ path: 'x\xff' }), file('x', 'bytes'), symlink('loop', 'loop'), symlink('up', '../../../etc'), hardLink('passwd', 'etc/passwd'),
    )), undefined, task)
    const view = store.layers.view(layer.chainId)
    expect((await view.list('/lib')).map(String)).toEqual(['b', 'sub'])
    expect((await view.list('lib/sub')).map(String)).toEqual(['new'])
    expect(await view.lstat('/lib/a')).toBeUndefined()
    expect(await view.lstat('/bin/sh')).toMatchObject({ type: 'file', sizeBytes: 2 })
    expect(await view.lstat('/bin')).toMatchObject({ type: 'symlink', target: Buffer.from('usr/bin') })
    expect((await view.resolve('/up/../bin/./sh/missing')).toString()).toBe('/usr/bin/sh/missing')
    expect((await view.resolve('/up/none/../shadow')).toString()).toBe('/etc/shadow')
    expect((await view.readFile('/passwd', 5)).toString()).toBe('root\n')
    await expect(view.readFile('/passwd', 4)).rejects.toMatchObject({ code: 'STORAGE_STREAM_TOO_LARGE' })
    await expect(view.readFile('/etc', 4)).rejects.toMatchObject({ code: 'STORAGE_UNEXPECTED_ENTRY', found: 'directory' })
    await expect(view.list('/etc/passwd')).rejects.toMatchObject({ code: 'STORAGE_UNEXPECTED_ENTRY', found: 'file' })
    await expect(view.resolve('/loop/x')).rejects.toMatchObject({ code: 'STORAGE_LINK_LOOP' })
    expect(await store.layers.view(undefined).lstat('/')).toMatchObject({ type: 'directory', mode: 0o755 })
    expect(await store.layers.view(undefined).list('/')).toEqual([])
  })

  it('gives sizes of files alone: those of directories and links are the filesystem\'s affair', async () => {
    const store = await stores.open()
    const view = store.layers.view((await applyBase(store)).chainId)
    const sizes = await Promise.all(['/etc/passwd', '/etc', '/bin', '/lib/sub'].map(async (path) => (await view.lstat(path))?.sizeBytes))
    expect(sizes).toEqual([5, 0, 0, 0])
  })

  it('stops at once when the task is aborted', async () => {
    const store = await stores.open()
    const controller = new AbortController()
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield file('start', 'x')
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, 1))
        controller.abort(new Error('enough'))
        yield file('more', 'x'.repeat(1000))
      }
    }
    await expect(store.layers.apply(undefined, endless(), undefined, { ...task, signal: controller.signal })).rejects.toThrow('enough')
  })

  it('stops when the task is aborted while a stream gives nothing', async () => {
    const store = await stores.open()
    const controller = new AbortController()
    async function* silent(): AsyncGenerator<Uint8Array> {
      yield file('start', 'x')
      setTimeout(() => { controller.abort(new Error('enough')) }, 20)
      await new Promise(() => undefined)
    }
    await expect(store.layers.apply(undefined, silent(), undefined, { ...task, signal: controller.signal })).rejects.toThrow('enough')
  })

  it('passes the failure of a stream on and keeps nothing of it', async () => {
    const store = await stores.open()
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield base.subarray(0, 1500)
      await Promise.resolve()
      throw new RangeError('the network broke')
    }
    await expect(store.layers.apply(undefined, broken(), undefined, task)).rejects.toBeInstanceOf(RangeError)
    await expect(store.layers.apply(undefined, stream(base.subarray(0, 1500)), undefined, task)).rejects.toMatchObject({ code: 'STORAGE_HOSTILE_ARCHIVE', rule: 'truncated' })
  })
}
