import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestAsDiffId, sha256 } from '../../oci/digest.ts'
import { writeIndex } from '../../storage/erofs/write-index.ts'
import type { LowerLayer } from '../../storage/index.ts'
import { HostileArchive } from '../../storage/index.ts'
import { createRootfsView } from '../../storage/layer/view/rootfs-view.ts'
import { unpackTree } from '../../storage/tree/unpack-tree.ts'
import type { IndexedLayer } from '../support/indexed-layer.ts'
import { everyKind, largeDirectory, writeIndexedLayer } from '../support/indexed-layer.ts'
import { stream, task } from '../support/streams.ts'
import { archive, directory, file, forge, forgePax, hardLink, octal, symlink } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const folder = useTemporaryFolder('erofs-index')
const runs = Number(process.env['TSBUILD_PROPERTY_RUNS'] ?? 25)
let count = 0

function newPath(): string {
  count += 1
  return join(folder, `${count}`)
}

/** A layer in both formats on the layers of the same format below it. */
interface Twin {
  readonly erofs: IndexedLayer
  readonly overlay: LowerLayer
}

async function index(tar: Buffer, below: readonly LowerLayer[], makesWhiteouts = true): Promise<IndexedLayer> {
  return await writeIndexedLayer(newPath(), tar, below, makesWhiteouts)
}

async function unpack(tar: Buffer, below: readonly LowerLayer[]): Promise<LowerLayer> {
  const path = newPath()
  mkdirSync(path)
  await unpackTree({ root: folder, directory: path, xattrs: 'trusted', makesWhiteouts: true, maxBytes: 2 ** 40, maxSeconds: 60, lowers: below }, stream(tar), task)
  return { kind: 'directory', path }
}

async function make(tar: Buffer, below?: Twin): Promise<Twin> {
  return { erofs: await index(tar, below === undefined ? [] : [below.erofs]), overlay: await unpack(tar, below === undefined ? [] : [below.overlay]) }
}

function look(...stacks: (readonly LowerLayer[])[]): string[][] {
  const output = execFileSync('unshare', ['-m', process.execPath, join(import.meta.dirname, '..', 'support', 'mount-worker.ts')], { input: JSON.stringify(stacks), maxBuffer: 1 << 28 })
  return JSON.parse(output.toString()) as string[][]
}

function expectSameTrees(top: Twin, below?: Twin): void {
  const [erofs, overlay] = look([top.erofs, ...(below === undefined ? [] : [below.erofs])], [top.overlay, ...(below === undefined ? [] : [below.overlay])])
  // An unpacked root gets what it repeats of the layer below when the layer is put in its place.
  expect(erofs?.slice(1)).toEqual(overlay?.slice(1))
}

describe('an index', () => {
  it('shows every kind of inode as unpacking does', async () => {
    const layer = await make(everyKind)
    expectSameTrees(layer)
  })

  it('keeps nanoseconds', async () => {
    const { erofs } = await make(archive(forgePax({ mtime: '-1.5' }), file('time', 'x')))
    expect(await createRootfsView([erofs], 'trusted').lstat('/time')).toMatchObject({ mtimeNs: -1_500_000_000n, sizeBytes: 1 })
  })

  it('is the same bytes for the same tar', async () => {
    const [one, other] = [await index(everyKind, []), await index(everyKind, [])]
    expect(readFileSync(one.path).equals(readFileSync(other.path))).toBe(true)
  })

  it('holds directories of many entries, and finds each', async () => {
    const layer = await index(largeDirectory(15_000), [])
    const [tree = []] = look([layer])
    expect(tree.length).toBe(15_002)
    expect(new Set(tree.map((line) => line.split(' ')[0])).size).toBe(15_002)
  }, 120_000)

  it('copies files of the layers below that get a second name', async () => {
    const below = await make(archive(directory('etc/', { mode: octal(0o750), uid: octal(3) }), forgePax({ 'SCHILY.xattr.user.x': 'y' }), file('etc/low', 'low'.repeat(1000), { mode: octal(0o4711), uid: octal(7) })))
    const layer = await make(archive(hardLink('high', 'etc/low'), file('after', 'x')), below)
    expectSameTrees(layer, below)
    expect(look([layer.erofs])[0]?.find((line) => line.startsWith('./high'))).toMatch(/= \.\/etc\/low|104711 7:0/u)
  })

  it('says when it takes the layers below', async () => {
    const path = newPath()
    const tar = archive(file('a/b', 'x'))
    writeFileSync(`${path}.tar`, tar)
    const request = { root: folder, tar: `${path}.tar`, index: path, diffId: digestAsDiffId(sha256(tar)), makesWhiteouts: true, maxBytes: 2 ** 40, maxSeconds: 60, lowers: undefined }
    expect(await writeIndex(request, task)).toMatchObject({ kind: 'needs-lowers', path: Buffer.from('a') })
  })

  it('leaves whiteouts out of a bottom layer', async () => {
    expect(look([await index(archive(file('.wh.x', ''), file('a', 'x')), [], false)])[0]?.length).toBe(2)
  })
})

/** Few names, so that entries meet. */
const name = fc.constantFrom('a', 'b', 'c', 'd')
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))
const whiteout = fc.tuple(fc.array(name, { maxLength: 2 }), fc.constantFrom('.wh.a', '.wh.b', '.wh.d', '.wh..wh..opq', '.wh..wh.aufs')).map(([parts, last]) => [...parts, last].join('/'))
const entry = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(path, fc.constantFrom('', 'x', 'y'.repeat(700)), fc.nat(0o7777)).map(([at, body, mode]) => file(at, body, { mode: octal(mode) })) },
  { weight: 4, arbitrary: fc.tuple(path, fc.nat(100)).map(([at, uid]) => directory(`${at}/`, { uid: octal(uid) })) },
  { weight: 3, arbitrary: fc.tuple(path, fc.oneof(path, path.map((to) => `/${to}`), path.map((to) => `../${to}`))).map(([at, to]) => symlink(at, to)) },
  { weight: 2, arbitrary: fc.tuple(path, path).map(([at, to]) => hardLink(at, to)) },
  { weight: 3, arbitrary: whiteout.map((at) => file(at, '')) },
  { weight: 1, arbitrary: path.map((at) => Buffer.concat([forgePax({ 'SCHILY.xattr.user.a': at, 'SCHILY.xattr.trusted.overlay.opaque': 'y' }), directory(`${at}/`)])) },
  { weight: 1, arbitrary: path.map((at) => forge({ name: at, type: '6' })) },
  { weight: 1, arbitrary: fc.constantFrom(directory('./', { mode: octal(0o700) }), file('.wh..wh..opq', '')) },
)
const tar = fc.array(entry, { minLength: 1, maxLength: 14 }).map((entries) => archive(...entries))

/** Both accept the archive, or both refuse it by the same rule. */
async function makeBoth(bytes: Buffer, below?: Twin): Promise<Twin | undefined> {
  const [erofs, overlay] = await Promise.allSettled([index(bytes, below === undefined ? [] : [below.erofs]), unpack(bytes, below === undefined ? [] : [below.overlay])])
  if (erofs.status === 'fulfilled' && overlay.status === 'fulfilled') return { erofs: erofs.value, overlay: overlay.value }
  const reasons = [erofs, overlay].map((result) => result.status === 'rejected' && result.reason instanceof HostileArchive ? [result.reason.rule, result.reason.entry] : result)
  expect(reasons[0]).toEqual(reasons[1])
  return undefined
}

describe('any archive', () => {
  it('means the same as an index as it does unpacked', async () => {
    await fc.assert(fc.asyncProperty(tar, tar, async (low, high) => {
      const below = await makeBoth(low)
      const top = below === undefined ? undefined : await makeBoth(high, below)
      if (below !== undefined && top !== undefined) expectSameTrees(top, below)
    }), { numRuns: runs })
  }, 60_000 + runs * 3000)
})
