import { mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import type { Layer, Store } from '../../storage/index.ts'
import { packFolder } from '../../storage/index.ts'
import { run } from '../support/container.ts'
import { listTar } from '../support/list-tar.ts'
import { workInOverlay, writableFolder } from '../support/overlay.ts'
import { useStores } from '../support/stores.ts'
import { collect, stream, task } from '../support/streams.ts'
import { archive, directory, file, forgePax, hardLink, octal, symlink } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'
import { insideOperation } from '../support/tree-arbitraries.ts'
import type { TreeOperation } from '../support/tree-operations.ts'
import { Workspace } from '../support/workspace.ts'

const folder = useTemporaryFolder('snapshot-drivers')
const [mounting, copying, serving] = [useStores(folder, 'overlay', 'overlay'), useStores(folder, 'overlay', 'vfs'), useStores(folder, 'overlay', 'fuse-overlayfs')]
const workspace = new Workspace()
afterAll(() => { workspace[Symbol.dispose]() })
const runs = Number(process.env['TSBUILD_PROPERTY_RUNS'] ?? 25)

const baseOf = (other: Buffer): Buffer => archive(
  directory('a/', { mode: octal(0o2750), uid: octal(5) }), file('a/a', 'one'), file('a/b', 'two', { mode: octal(0o4711) }), other,
  directory('a/d/'), file('a/d/a', 'deep'), symlink('a/d/b', '../b'), directory('b/'), forgePax({ 'SCHILY.xattr.user.x': 'y' }), directory('b/a/'),
  file('b/a/a', 'x'), symlink('c', 'a'), symlink('d', 'nowhere'), forgePax({ path: '\xff\xfe' }), file('x', 'bytes'),
)

const base = baseOf(hardLink('a/c', 'a/a'))

async function step(store: Store, parent: Layer, operations: readonly TreeOperation[]): Promise<{ readonly layer: Layer; readonly errors: readonly (string | null)[] }> {
  await using snapshot = await store.layers.prepare(parent.chainId)
  const { errors } = workInOverlay(snapshot.rootfs, operations, mkdtempSync(join(folder, 'run-')))
  return { layer: await snapshot.commit(task), errors }
}

/** Whiteouts and an opaque directory, and no hard links: fuse-overlayfs shows those of the layers with one inode number when only one has been changed. */
async function applyTwo(store: Store): Promise<Layer> {
  const bottom = await store.layers.apply(undefined, stream(baseOf(file('a/c', 'one'))), undefined, task)
  const top = archive(directory('a/'), file('a/d/.wh.b', ''), directory('b/'), file('b/.wh..wh..opq', ''), directory('b/a/'), file('b/a/b', 'new'), file('.wh.d', ''))
  return await store.layers.apply(bottom.chainId, stream(top), undefined, task)
}

/** The entries of a changeset; times that the clock set differ between two runs. */
async function entries(store: Store, layer: Layer, since: number): Promise<{ readonly name: string }[]> {
  const listed = await listTar(await collect(store.layers.changeset(layer.chainId, task)))
  return listed.map((entry) => ({ ...entry, mtime: entry.mtime >= since && entry.mtime <= Date.now() / 1000 ? 'now' : entry.mtime }))
}

describe('drivers', () => {
  it('make the same changeset of the same operations', async () => {
    const [one, other] = [await mounting.open(), await copying.open()]
    const parents = [await one.layers.apply(undefined, stream(base), undefined, task), await other.layers.apply(undefined, stream(base), undefined, task)] as const
    // The clock of files goes by ticks and is a little late.
    const since = Math.floor(Date.now() / 1000 - 0.1)
    await fc.assert(fc.asyncProperty(fc.array(insideOperation, { minLength: 1, maxLength: 25 }), async (operations) => {
      const mounted = await step(one, parents[0], operations)
      // Overlayfs leaves renaming a folder of the layers to mv, which copies it.
      const done = operations.filter((_, index) => mounted.errors[index] === null)
      const copied = await step(other, parents[1], done)
      expect(copied.errors).toEqual(done.map(() => null))
      expect(await entries(other, copied.layer, since)).toEqual(await entries(one, mounted.layer, since))
    }), { numRuns: runs })
  }, 600_000)

  it('make with fuse-overlayfs the layers that show what a process saw there', async () => {
    const store = await serving.open()
    const parent = await applyTwo(store)
    await fc.assert(fc.asyncProperty(fc.array(insideOperation.filter((each) => each.do !== 'xattr' || !each.name.includes('overlay')), { minLength: 1, maxLength: 25 }), async (operations) => {
      await using snapshot = await store.layers.prepare(parent.chainId)
      const seen = workInOverlay(snapshot.rootfs, operations, mkdtempSync(join(folder, 'run-')))
      const layer = await snapshot.commit(task)
      const lowers = store.layers.lowers(layer.chainId)
      const { tree } = workInOverlay({ kind: 'overlay', lowers, upper: undefined, xattrs: 'trusted' }, [], mkdtempSync(join(folder, 'look-')))
      expect(tree).toEqual(seen.tree)
    }), { numRuns: Math.ceil(runs / 2) })
  }, 600_000)

  it('keep owners, modes and attributes of what fuse-overlayfs copies up', async () => {
    const operations: TreeOperation[] = ['s/f', 't/f', 's/x/f'].flatMap((path): TreeOperation[] => [{ do: 'utimes', path, seconds: 1000 }, { do: 'write', path: `${path}-new`, bytes: 1 }])
    const folders: TreeOperation[] = ['s', 't', 's/x'].map((path) => ({ do: 'utimes', path, seconds: 1000 }))
    const changesets = await Promise.all([mounting, serving].map(async (stores) => {
      const store = await stores.open()
      const parent = await store.layers.apply(undefined, stream(archive(
        directory('s/', { mode: octal(0o750), uid: octal(5), gid: octal(7) }), forgePax({ 'SCHILY.xattr.user.x': 'y' }), file('s/f', 'f', { mode: octal(0o711), uid: octal(8), gid: octal(9) }),
        directory('s/x/', { mode: octal(0o775), gid: octal(7) }), file('s/x/f', 'f'), directory('t/', { mode: octal(0o1777) }), file('t/f', 'f'),
      )), undefined, task)
      const { layer, errors } = await step(store, parent, [...operations, ...folders])
      expect(errors.filter((error) => error !== null)).toEqual([])
      return await entries(store, layer, 2000)
    }))
    expect(changesets[1]).toHaveLength(9)
    expect(changesets[1]).toEqual(changesets[0])
  })

  it('put 500 layers together: the kernel mounts 499 beside the mount points, more are copied; fuse-overlayfs mounts all', async () => {
    const root = mounting.newRoot()
    const store = await mounting.open(root)
    const stack = [await store.layers.apply(undefined, packFolder(workspace.makeBusyboxLayer(), task), undefined, task)]
    for (let number = 1; number < 500; number += 1) {
      stack.push(await store.layers.apply(stack.at(-1)?.chainId, stream(archive(directory('d/'), file(`d/${number}`, String(number)), file('last', String(number)))), undefined, task))
    }
    await store.layers.sync(task)
    for (const [stores, count, kind] of [[mounting, 499, 'overlay'], [mounting, 500, 'directory'], [serving, 500, 'overlay']] as const) {
      const top = stack[count - 1]?.chainId
      const { layers } = await stores.open(root)
      await using snapshot = await layers.prepare(top)
      expect(layers.lowers(top)).toHaveLength(count)
      expect(snapshot.rootfs.kind).toBe(kind)
      const { exit, stdout, stderr } = await run({ args: ['/bin/sh', '-c', 'ls /d | wc -l; cat /d/1 /last; echo new > /d/new; rm /d/250'], rootfs: snapshot.rootfs })
      expect(exit.exitCode, stderr).toBe(0)
      expect(stdout).toBe(`${count - 1}\n1${count - 1}`)
      const { chainId } = await snapshot.commit(task)
      expect((await listTar(await collect(layers.changeset(chainId, task)))).map(({ name }) => name)).toEqual(['d/', 'd/.wh.250', 'd/new'])
    }
  }, 300_000)

  it('leave mount points out of the layer, and keep what a first process did when a second one looks', async () => {
    const layers: unknown[] = []
    for (const stores of [mounting, copying, serving]) {
      const store = await stores.open()
      const parent = await store.layers.apply(undefined, packFolder(workspace.makeBusyboxLayer(), task), undefined, task)
      await using snapshot = await store.layers.prepare(parent.chainId)
      const mounts = [{ kind: 'file', target: '/etc/deep/hosts', content: Buffer.from('x'), mode: 0o644, uid: 0, gid: 0 }] as const
      const work = 'rm /bin/yes; mkdir /made; : > /made/empty; : > /etc/deep/other; touch -d @1000 /made/empty /made /etc/deep/other /etc/deep /etc /bin /'
      const first = await run({ args: ['/bin/sh', '-c', work], rootfs: snapshot.rootfs, mounts })
      expect(first.exit.exitCode, first.stderr).toBe(0)
      if (snapshot.rootfs.kind === 'directory') {
        expect(readFileSync(snapshot.rootfs.start, 'utf8')).toBe('s')
        const second = await run({ args: ['/bin/cat', '/etc/deep/hosts'], rootfs: snapshot.rootfs, mounts })
        expect(second).toMatchObject({ stdout: 'x', stderr: '' })
      }
      layers.push(await entries(store, await snapshot.commit(task), Infinity))
    }
    expect(layers[0]).toHaveLength(7)
    expect(layers[1]).toEqual(layers[0])
    expect(layers[2]).toEqual(layers[0])
  })

  it('refuse what overlayfs refuses to make', async () => {
    const store = await copying.open()
    await using snapshot = await store.layers.prepare(undefined)
    workspace.makeWhiteout(join(writableFolder(snapshot), 'gone'))
    await expect(snapshot.commit(task)).rejects.toMatchObject({ code: 'STORAGE_TREE_FAILURE' })
  })
})
