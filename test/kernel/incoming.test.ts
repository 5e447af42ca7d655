import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { mediaTypes } from '../../oci/descriptor.ts'
import { digestAsDiffId, sha256 } from '../../oci/digest.ts'
import { verifyBytes } from '../../oci/verify.ts'
import type { IncomingLayer, Store } from '../../storage/index.ts'
import { gc } from '../../storage/index.ts'
import { noiseTar } from '../support/noise-tar.ts'
import { useStores } from '../support/stores.ts'
import { stream, task } from '../support/streams.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const stores = useStores(useTemporaryFolder('incoming'))
const tar = noiseTar('seed')
const bytes = gzipSync(tar)
const half = Math.floor(bytes.length / 2)

interface Fetch { readonly layer: IncomingLayer; readonly asked: number[] }

/** The layer, and from which bytes on it was asked for: whoever asks for bytes holds the lock on the file, which is there before. */
function fetching(give: (fromByte: number) => AsyncIterable<Uint8Array> = (fromByte) => stream(bytes.subarray(fromByte))): Fetch {
  const asked: number[] = []
  const open = (fromByte: number): AsyncIterable<Uint8Array> => {
    asked.push(fromByte)
    return give(fromByte)
  }
  return { asked, layer: { parent: undefined, blob: { mediaType: mediaTypes.ociLayerGzip, digest: sha256(bytes), size: bytes.length }, bytes: open, diffId: digestAsDiffId(sha256(tar)) } }
}

async function* broken(): AsyncGenerator<Uint8Array, void, undefined> {
  yield* stream(bytes.subarray(0, half))
  throw new Error('the line was cut')
}

const incoming = (store: Store): string[] => (existsSync(join(store.root, 'incoming')) ? readdirSync(join(store.root, 'incoming')) : [])

describe('a blob that arrives', () => {
  it('goes on where a killed process stopped', async () => {
    const store = await stores.open()
    const child = spawn(process.execPath, [join(import.meta.dirname, '../support/half-fetch.ts'), store.root, 'seed'], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    await expect.poll(() => statSync(join(store.root, 'incoming', incoming(store)[0] ?? '')).size).toBe(half)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const { layer, asked } = fetching()
    expect((await store.ingestLayer(layer, task)).chainId).toBe(sha256(tar))
    expect(asked).toEqual([half])
    expect(readFileSync(join(store.root, 'content/blobs/sha256', sha256(bytes).slice(7))).equals(bytes)).toBe(true)
    expect(incoming(store)).toEqual([])
  })

  it('goes on where a transfer failed', async () => {
    const store = await stores.open()
    await expect(store.ingestLayer(fetching(broken).layer, task)).rejects.toThrow('the line was cut')
    const { layer, asked } = fetching()
    await store.ingestLayer(layer, task)
    expect(asked).toEqual([half])
  })

  it.each([
    ['in its last byte', (): Buffer => Buffer.concat([bytes.subarray(0, half - 1), Buffer.from([bytes.readUInt8(half - 1) ^ 1])])],
    ['from the first on, as after a loss of power', (): Buffer => Buffer.alloc(half)],
    ['and complete', (): Buffer => Buffer.alloc(bytes.length)],
    ['and complete, and no gzip after its header', (): Buffer => Buffer.concat([bytes.subarray(0, 10), Buffer.alloc(bytes.length - 10, 0xff)])],
    ['and another layer', (): Buffer => gzipSync(noiseTar('other'), { level: 0 }).subarray(0, bytes.length)],
  ])('begins anew when what had arrived is wrong %s', async (_, leftover) => {
    const store = await stores.open()
    await expect(store.ingestLayer(fetching(broken).layer, task)).rejects.toThrow('the line was cut')
    writeFileSync(join(store.root, 'incoming', incoming(store)[0] ?? ''), leftover())
    const { layer, asked } = fetching()
    expect((await store.ingestLayer(layer, task)).chainId).toBe(sha256(tar))
    expect([asked.at(-1), incoming(store)]).toEqual([0, []])
  })

  it('begins anew once when the source is wrong as well, and leaves nothing', async () => {
    const store = await stores.open()
    await expect(store.ingestLayer(fetching(broken).layer, task)).rejects.toThrow('the line was cut')
    const { layer, asked } = fetching((fromByte) => stream(Buffer.from(bytes).fill(0, half).subarray(fromByte)))
    await expect(store.ingestLayer(layer, task)).rejects.toMatchObject({ code: expect.stringMatching(/OCI_DIGEST_MISMATCH|STORAGE_/u) as string })
    expect([asked, incoming(store)]).toEqual([[half, 0], []])
  })

  it('leaves nothing when its source finds out that it is wrong', async () => {
    const store = await stores.open()
    const { layer } = fetching(async function* lying() {
      try {
        yield* verifyBytes(stream(Buffer.from(bytes).fill(0, half)), layer.blob)
      } catch (error) {
        throw new Error('some host sent the wrong bytes', { cause: error })
      }
    })
    await expect(store.ingestLayer(layer, task)).rejects.toThrow()
    expect(incoming(store)).toEqual([])
  })

  it('that had arrived whole is not asked for', async () => {
    const store = await stores.open()
    await expect(store.ingestLayer(fetching(broken).layer, task)).rejects.toThrow('the line was cut')
    writeFileSync(join(store.root, 'incoming', incoming(store)[0] ?? ''), bytes)
    const { layer, asked } = fetching((fromByte) => stream(bytes.subarray(fromByte)))
    await store.ingestLayer(layer, task)
    expect(asked).toEqual([bytes.length])
  })

  it('is fetched by one of several who want it', async () => {
    const first = await stores.open()
    const second = await stores.open(first.root)
    const slow = fetching(async function* slowly(fromByte) {
      for await (const chunk of stream(bytes.subarray(fromByte))) {
        await sleep(20)
        yield chunk
      }
    })
    const other = fetching()
    const ingesting = first.ingestLayer(slow.layer, task)
    await expect.poll(() => slow.asked).toHaveLength(1)
    const [one, two] = await Promise.all([ingesting, second.ingestLayer(other.layer, task)])
    expect(one.chainId).toBe(two.chainId)
    expect([slow.asked, other.asked]).toEqual([[0], []])
  })

  it('is waited for no longer than wanted', async () => {
    const first = await stores.open()
    const second = await stores.open(first.root)
    const held = Promise.withResolvers<undefined>()
    const slow = fetching(async function* never() {
      await held.promise
      yield* stream(bytes)
    })
    const ingesting = first.ingestLayer(slow.layer, task)
    await expect.poll(() => slow.asked).toHaveLength(1)
    const waiting = second.ingestLayer(fetching().layer, { ...task, signal: AbortSignal.timeout(50) })
    await expect(waiting).rejects.toMatchObject({ name: 'TimeoutError' })
    held.resolve(undefined)
    await ingesting
  })

  it('and that nobody went on with for a day is garbage', async () => {
    const store = await stores.open()
    await expect(store.ingestLayer(fetching(broken).layer, task)).rejects.toThrow('the line was cut')
    await gc(store, task, { dryRun: false })
    const path = join(store.root, 'incoming', incoming(store)[0] ?? '')
    utimesSync(path, 1, 1)
    expect((await gc(store, task, { dryRun: true })).inodes).toBe(1)
    await gc(store, task, { dryRun: false })
    expect(incoming(store)).toEqual([])
  })
})
