import { appendFileSync, closeSync, openSync, readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, unlinkSync, writeFileSync, writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { mediaTypes } from '../../oci/descriptor.ts'
import type { ChainId } from '../../oci/digest.ts'
import { chainId, digestAsDiffId, sha256 } from '../../oci/digest.ts'
import type { FetchBlob, LayerFormatName, Store } from '../../storage/index.ts'
import { fsck, packChangeset, repair } from '../../storage/index.ts'
import { writeDocuments } from '../support/stored-images.ts'
import type { Stores } from '../support/stores.ts'
import { useStores } from '../support/stores.ts'
import { stream, task } from '../support/streams.ts'
import { archive, directory, file } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const folder = useTemporaryFolder('repair')
const tar = archive(directory('d'), file('d/a', 'a'.repeat(9000)))
const blob = gzipSync(tar)
const pulled = chainId(undefined, digestAsDiffId(sha256(tar)))

interface Stock { readonly root: string; readonly image: string; readonly built: ChainId }
type Damage = readonly [what: string, damage: (stocked: Stock) => void, findings: readonly string[]]

/** One pulled layer below one of our own, an image of both, and a cache entry. */
async function stock(stores: Stores): Promise<Stock> {
  const root = stores.newRoot()
  const store = await stores.open(root)
  const first = await store.ingestLayer({ parent: undefined, blob: { mediaType: mediaTypes.ociLayerGzip, digest: sha256(blob), size: blob.length }, bytes: stream(blob), diffId: digestAsDiffId(sha256(tar)) }, task)
  const entry = { type: 'file', path: Buffer.from('own'), mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n, content: { kind: 'bytes', bytes: Buffer.from('own') } } as const
  const second = await store.layers.apply(first.chainId, packChangeset([entry], task), undefined, task)
  store.cache.put({ key: 'k', chainId: second.chainId, payload: '' })
  await store.layers.sync(task)
  const blobs = [{ mediaType: mediaTypes.ociLayerGzip, digest: sha256(blob), size: blob.length }, await store.layerBlob(second.chainId, 'gzip', task)]
  const image = await writeDocuments(store, { blobs, diffIds: [first.diffId, second.diffId], comment: '' })
  store.images.put(image.manifest, image.config.digest, ['docker.io/library/a:1'])
  await store[Symbol.asyncDispose]()
  return { root, image: image.config.digest, built: second.chainId }
}

const nowhere: FetchBlob = () => Promise.resolve(false)
const blobPath = (root: string, digest: string): string => join(root, 'content', 'blobs', 'sha256', digest.slice(7))
const layerPath = (root: string, index: number): string => join(root, 'layers', readdirSync(join(root, 'layers')).filter((name) => !name.endsWith('.tar')).sort()[index] ?? '')

/** Behind the header of a tar's first entry, which is a directory or the file itself. */
function damageBytes(path: string, offset: number): void {
  const file_ = openSync(path, 'r+')
  writeSync(file_, '#', offset)
  closeSync(file_)
}

/** Our own layer, that `own` reads otherwise. */
const damageOwn = {
  overlay: ({ root }: Stock): void => { writeFileSync(join(layerPath(root, 1), 'own'), 'oWn') },
  erofs: ({ root }: Stock): void => { damageBytes(`${layerPath(root, 1)}.tar`, 513) },
}

const layerDamages: Readonly<Record<LayerFormatName, readonly Damage[]>> = {
  overlay: [
    ['the content of a file of a pulled layer', ({ root }) => { appendFileSync(join(layerPath(root, 0), 'd', 'a'), 'x') }, ['layer-tree']],
    ['a file more in a pulled layer', ({ root }) => { symlinkSync('x', join(layerPath(root, 0), 'd', 'b')) }, ['layer-tree', 'layer-inodes']],
    ['the directory of a pulled layer', ({ root }) => { rmSync(layerPath(root, 0), { recursive: true }) }, ['layer-missing', 'layer-parent']],
    ['the content of a file of an own layer of which there is a blob', damageOwn.overlay, ['layer-diff-id']],
  ],
  erofs: [
    ['the tar of a pulled layer', ({ root }) => { damageBytes(`${layerPath(root, 0)}.tar`, 1100) }, ['layer-diff-id']],
    ['the index of a pulled layer', ({ root }) => { damageBytes(layerPath(root, 0), 1540) }, ['layer-index']],
    ['the index of a pulled layer that is gone', ({ root }) => { rmSync(layerPath(root, 0)) }, ['layer-missing', 'layer-parent']],
    ['the tar of a pulled layer that is gone', ({ root }) => { rmSync(`${layerPath(root, 0)}.tar`) }, ['layer-missing', 'layer-parent']],
    ['the tar of an own layer of which there is a blob', damageOwn.erofs, ['layer-diff-id']],
  ],
}

function execute(root: string, sql: string): void {
  const database = new DatabaseSync(join(root, 'state.db'))
  database.exec(sql)
  database.close()
}

async function damageStock(stores: Stores, damage: (stocked: Stock) => void): Promise<{ store: Store; stocked: Stock; checks: string[] }> {
  const stocked = await stock(stores)
  damage(stocked)
  const store = await stores.open(stocked.root)
  return { store, stocked, checks: (await fsck(store, task)).findings.map(({ check }) => check) }
}

describe.each(['overlay', 'erofs'] as const)('a store of %s layers is repaired', (format) => {
  const stores = useStores(folder, format)
  const damagedBy = (damage: (stocked: Stock) => void): ReturnType<typeof damageStock> => damageStock(stores, damage)

  it.each<Damage>([
    ...layerDamages[format],
    ['a wrong count', ({ root }) => { execute(root, 'UPDATE layers SET inodes = inodes + 1') }, ['layer-inodes', 'layer-inodes']],
    ['index.json', ({ root }) => { unlinkSync(join(root, 'content', 'index.json')) }, ['index']],
    ['a name of nothing', ({ root }) => { execute(root, "INSERT INTO names VALUES ('docker.io/library/b:1', 'sha256:0')") }, ['name-dangling']],
    ['a cache entry of nothing', ({ root }) => { execute(root, "INSERT INTO cache VALUES ('x', 'sha256:0', '', 0, 0)") }, ['cache-dangling']],
    ['a manifest of a name\'s own', ({ root }) => { execute(root, "INSERT INTO name_manifests VALUES ('docker.io/library/a:1', 'sha256:" + '0'.repeat(64) + "', 'application/vnd.oci.image.manifest.v1+json', 2)") }, ['name-manifest', 'index']],
    ['strays', ({ root }) => { writeFileSync(join(root, 'layers', 'zzz'), 'stray') }, ['stray']],
  ])('after damage to %s, and loses nothing', async (_, damage, expected) => {
    const { store, stocked, checks } = await damagedBy(damage)
    expect(checks).toEqual(expected)
    const report = await repair(store, { fetchBlob: nowhere }, task)
    expect(report).toMatchObject({ after: { findings: [] }, lostImages: [] })
    expect(store.images.find('docker.io/library/a:1')).toMatchObject({ id: stocked.image })
    expect(store.cache.find('k')).toMatchObject({ chainId: stocked.built })
    expect((await store.layers.view(stocked.built).readFile('/d/a', 10_000)).length).toBe(9000)
    expect((await store.layers.view(stocked.built).readFile('/own', 10_000)).toString()).toBe('own')
  })

  it('by fetching damaged blobs again, under the names of their images', async () => {
    const { store, stocked, checks } = await damagedBy(({ root }) => { truncateSync(blobPath(root, sha256(blob)), 7) })
    // A tar beside its index needs no blob.
    expect(checks).toEqual(format === 'erofs' ? ['blob-size'] : ['blob-size', 'layer-source'])
    const asked: unknown[] = []
    const fetchBlob: FetchBlob = async (wanted, names) => {
      asked.push([wanted.digest, names])
      await store.content.ingest(wanted, stream(blob), task)
      return true
    }
    expect(await repair(store, { fetchBlob }, task)).toMatchObject({ after: { findings: [] }, lostImages: [], quarantined: [expect.stringContaining(sha256(blob).slice(7))] })
    expect(asked).toEqual([[sha256(blob), ['docker.io/library/a:1']]])
    expect(store.images.find('docker.io/library/a:1')).toMatchObject({ id: stocked.image })
  })

  it('by fetching all that an image is made of', async () => {
    const kept = new Map<string, Buffer>()
    const { store, stocked } = await damagedBy(({ root }) => {
      for (const name of readdirSync(join(root, 'content', 'blobs', 'sha256'))) {
        kept.set(`sha256:${name}`, readFileSync(blobPath(root, `sha256:${name}`)))
        rmSync(blobPath(root, `sha256:${name}`))
      }
    })
    const fetchBlob: FetchBlob = async (wanted) => {
      await store.content.ingest(wanted, stream(kept.get(wanted.digest) ?? Buffer.alloc(0)), task)
      return true
    }
    expect(await repair(store, { fetchBlob }, task)).toMatchObject({ after: { findings: [] }, lostImages: [], quarantined: [] })
    expect(store.images.find('docker.io/library/a:1')).toMatchObject({ id: stocked.image })
  })

  it('as far as it can be: what is nowhere to be had is named, and a layer that still works stays', async () => {
    const { store } = await damagedBy(({ root }) => { writeFileSync(blobPath(root, sha256(blob)), 'wrong') })
    const report = await repair(store, { fetchBlob: nowhere }, task)
    expect(report.after.findings).toEqual(format === 'erofs' ? [] : [expect.objectContaining({ check: 'layer-source', object: pulled })])
    expect(report.lostImages).toEqual([])
    store.images.remove(store.images.list()[0]?.id ?? sha256(''))
    await store.content.ingest({ mediaType: mediaTypes.ociLayerGzip, digest: sha256(blob), size: blob.length }, stream(blob), task)
    execute(store.root, `INSERT INTO layer_blobs SELECT diff_id, 'gzip', '${sha256(blob)}' FROM layers WHERE chain_id = '${pulled}'`)
  })

  it('by giving up an image that lost its config, or a layer of which there is no blob', async () => {
    for (const damage of [
      ({ root, image }: Stock): void => { writeFileSync(blobPath(root, image), '{}') },
      (stocked: Stock): void => {
        damageOwn[format](stocked)
        execute(stocked.root, "DELETE FROM layer_blobs WHERE diff_id IN (SELECT diff_id FROM layers WHERE parent IS NOT NULL)")
      },
    ]) {
      const { store, stocked } = await damagedBy(damage)
      const report = await repair(store, { fetchBlob: nowhere }, task)
      expect(report).toMatchObject({ after: { findings: [] }, lostImages: [{ id: stocked.image, names: ['docker.io/library/a:1'] }] })
      expect(store.images.list()).toEqual([])
      expect(store.layers.find(pulled)).toBeDefined()
    }
  })
})
