import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { mediaTypes } from '../../oci/descriptor.ts'
import { sha256 } from '../../oci/digest.ts'
import { fsck } from '../../storage/index.ts'
import { describeBytes } from '../support/images.ts'
import { blobPath } from '../support/stored-images.ts'
import { useStores } from '../support/stores.ts'
import { collect, stream, task } from '../support/streams.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const stores = useStores(useTemporaryFolder('content'))

describe('content', () => {
  it('keeps a blob under its digest, once', async () => {
    const store = await stores.open()
    const bytes = Buffer.alloc(300_000, 'blob')
    const blob = describeBytes(bytes)
    await store.content.ingest(blob, stream(bytes), task)
    await store.content.ingest(blob, stream(Buffer.from('never read')), task)
    expect(store.content.find(blob.digest)).toEqual({ digest: blob.digest, sizeBytes: bytes.length })
    expect(await collect(store.content.read(blob, task))).toEqual(bytes)
    expect(readFileSync(blobPath(store, blob.digest))).toEqual(bytes)
  })

  it('refuses bytes that are wrong, short or long, and leaves nothing of them', async () => {
    const store = await stores.open()
    const bytes = Buffer.from('what was promised')
    const blob = describeBytes(bytes)
    for (const wrong of [Buffer.from('what was Promised'), bytes.subarray(1), Buffer.concat([bytes, bytes]), Buffer.alloc(0)]) {
      await expect(store.content.ingest(blob, stream(wrong), task)).rejects.toMatchObject({ code: 'OCI_DIGEST_MISMATCH' })
    }
    expect(store.content.find(blob.digest)).toBeUndefined()
    const [session = ''] = readdirSync(join(store.root, 'sessions'))
    expect(readdirSync(join(store.root, 'sessions', session))).toEqual([])
  })

  it('finds no blob whose file is gone or cut, and takes it in again', async () => {
    const store = await stores.open()
    const bytes = Buffer.from('document')
    const blob = await store.content.write(bytes, mediaTypes.ociConfig)
    for (const damage of [(): void => { rmSync(blobPath(store, blob.digest)) }, (): void => { truncateSync(blobPath(store, blob.digest), 3) }]) {
      damage()
      expect(store.content.find(blob.digest)).toBeUndefined()
      await expect(store.content.readDocument(blob)).rejects.toMatchObject({ code: 'STORAGE_BLOB_MISSING', digest: blob.digest })
      await store.content.write(bytes, mediaTypes.ociConfig)
      expect(Buffer.from(await store.content.readDocument(blob))).toEqual(bytes)
    }
  })

  it('does not hand out a blob with other bytes than its digest says', async () => {
    const store = await stores.open()
    const blob = await store.content.write(Buffer.from('right'), mediaTypes.ociConfig)
    writeFileSync(blobPath(store, blob.digest), 'wrong')
    await expect(collect(store.content.read(blob, task))).rejects.toMatchObject({ code: 'OCI_DIGEST_MISMATCH' })
    await expect(store.content.readDocument(blob)).rejects.toMatchObject({ code: 'OCI_DIGEST_MISMATCH' })
    expect((await fsck(store, task)).findings).toEqual([{ check: 'blob-digest', object: blob.digest, expected: blob.digest, actual: sha256('wrong') }])
    writeFileSync(blobPath(store, blob.digest), 'right')
  })
})
