import { appendFileSync, readdirSync, rmSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { mediaTypes } from '../../oci/descriptor.ts'
import type { ChainId } from '../../oci/digest.ts'
import { chainId, digestAsDiffId, sha256 } from '../../oci/digest.ts'
import type { FetchBlob, Store } from '../../storage/index.ts'
import { fsck, packChangeset, repair } from '../../storage/index.ts'
import { writeDocuments } from '../support/stored-images.ts'
import { useStores } from '../support/stores.ts'
import { stream, task } from '../support/streams.ts'
import { archive, directory, file } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const stores = useStores(useTemporaryFolder('repair'))
const tar = archive(directory('d'), file('d/a', 'a'.repeat(9000)))
const blob = gzipSync(tar)
const pulled = chainId(undefined, digestAsDiffId(sha256(tar)))

interface Stock { readonly root: string; readonly image: string; readonly built: ChainId }

/** One pulled layer below one of our own, an image of both, and a cache entry. */
async function stock(root: string): Promise<Stock> {
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
const layerPath = (root: string, index: number): string => join(root, 'layers', readdirSync(join(root, 'layers')).sort()[index] ?? '')

function execute(root: string, sql: string): void {
  const database = new DatabaseSync(join(root, 'state.db'))
  database.exec(sql)
  database.close()
}

async function damagedBy(damage: (stocked: Stock) => void): Promise<{ store: Store; stocked: Stock; checks: string[] }> {
  const stocked = await stock(stores.newRoot())
  damage(stocked)
  const store = await stores.open(stocked.root)
  return { store, stocked, checks: (await fsck(store, task)).findings.map(({ check }) => check) }
}

describe('a store is repaired', () => {
  it.each<[string, (stocked: Stock) => void, string[]]>([
    ['the content of a file of a pulled layer', ({ root }) => { appendFileSync(join(layerPath(root, 0), 'd', 'a'), 'x') }, ['layer-tree']],
    ['a file more in a pulled layer', ({ root }) => { symlinkSync('x', join(layerPath(root, 0), 'd', 'b')) }, ['layer-tree', 'layer-inodes']],
    ['the directory of a pulled layer', ({ root }) => { rmSync(layerPath(root, 0), { recursive: true }) }, ['layer-missing', 'layer-parent']],
    ['the content of a file of an own layer of which there is a blob', ({ root }) => { writeFileSync(join(layerPath(root, 1), 'own'), 'oWn') }, ['layer-diff-id']],
    ['a wrong count', ({ root }) => { execute(root, 'UPDATE layers SET inodes = inodes + 1') }, ['layer-inodes', 'layer-inodes']],
    ['index.json', ({ root }) => { unlinkSync(join(root, 'content', 'index.json')) }, ['index']],
    ['a name of nothing', ({ root }) => { execute(root, "INSERT INTO names VALUES ('docker.io/library/b:1', 'sha256:0')") }, ['name-dangling']],
    ['a cache entry of nothing', ({ root }) => { execute(root, "INSERT INTO cache VALUES ('x', 'sha256:0', '', 0, 0)") }, ['cache-dangling']],
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
    expect(checks).toEqual(['blob-size', 'layer-source'])
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

  it('as far as it can be: what is nowhere to be had is named, and a layer that still works stays', async () => {
    const { store } = await damagedBy(({ root }) => { writeFileSync(blobPath(root, sha256(blob)), 'wrong') })
    const report = await repair(store, { fetchBlob: nowhere }, task)
    expect(report).toMatchObject({ after: { findings: [{ check: 'layer-source', object: pulled }] }, lostImages: [] })
    store.images.remove(store.images.list()[0]?.id ?? sha256(''))
    await store.content.ingest({ mediaType: mediaTypes.ociLayerGzip, digest: sha256(blob), size: blob.length }, stream(blob), task)
    execute(store.root, `INSERT INTO layer_blobs SELECT diff_id, 'gzip', '${sha256(blob)}' FROM layers WHERE chain_id = '${pulled}'`)
  })

  it('by giving up an image that lost its config, or a layer of which there is no blob', async () => {
    for (const damage of [
      ({ root, image }: Stock): void => { writeFileSync(blobPath(root, image), '{}') },
      ({ root }: Stock): void => {
        writeFileSync(join(layerPath(root, 1), 'own'), 'oWn')
        execute(root, "DELETE FROM layer_blobs WHERE diff_id IN (SELECT diff_id FROM layers WHERE parent IS NOT NULL)")
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
