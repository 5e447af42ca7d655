import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { createTestClient } from '../../test/support/client.ts'
import { describeBytes } from '../../test/support/images.ts'
import type { TestRegistry } from '../../test/support/registry.ts'
import { answer, cutAt, startRegistry, wantPieces } from '../../test/support/registry.ts'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { GrowingBlob, RegistryClient } from '../client.ts'
import { parseReference } from '../reference.ts'
import type { UploadJournal } from './upload-journal.ts'

const mebi = 1024 * 1024
const bytes = randomBytes(20 * mebi + 5)
const blob = describeBytes(bytes)
const task = recordingTask()

/** A blob that grows when the test says so. */
class Growth implements GrowingBlob {
  #sizeBytes = 0
  #blob: Descriptor | undefined
  #failure: Error | undefined
  #wake: (() => void)[] = []

  to(sizeBytes: number, made?: Descriptor): void {
    this.#sizeBytes = sizeBytes
    this.#blob = made
    for (const wake of this.#wake.splice(0)) wake()
  }

  fail(error: Error): void {
    this.#failure = error
    for (const wake of this.#wake.splice(0)) wake()
  }

  async more(thanBytes: number): ReturnType<GrowingBlob['more']> {
    while (this.#blob === undefined && this.#failure === undefined && this.#sizeBytes <= thanBytes) await new Promise<void>((resolve) => { this.#wake.push(resolve) })
    if (this.#failure !== undefined) throw this.#failure
    return { sizeBytes: this.#sizeBytes, blob: this.#blob }
  }

  async* read(fromByte: number, length: number): AsyncGenerator<Uint8Array, void, undefined> {
    await Promise.resolve()
    yield bytes.subarray(fromByte, fromByte + length)
  }
}

const start = (registry: TestRegistry, growth: GrowingBlob, client: RegistryClient = createTestClient({ insecure: [registry.host] })): Promise<Descriptor> =>
  client.pushGrowing(parseReference(`${registry.host}/app:1`), growth, task)
/** A push of which so much is on its way. */
async function begin(registry: TestRegistry, sizeBytes: number, client?: RegistryClient): Promise<{ readonly growth: Growth; readonly pushed: Promise<Descriptor> }> {
  const growth = new Growth()
  const pushed = start(registry, growth, client)
  pushed.catch(() => undefined)
  growth.to(sizeBytes)
  await sent(registry, 1)
  return { growth, pushed }
}

const ranges = (registry: TestRegistry): unknown[] => registry.requests('PATCH', /./u).map(({ headers }) => headers['content-range'])
const has = (registry: TestRegistry): boolean => registry.blobs.get(blob.digest)?.equals(bytes) === true
const sent = async (registry: TestRegistry, pieces: number): Promise<void> => { await expect.poll(() => registry.requests('PATCH', /./u).length).toBe(pieces) }

describe('a blob that is being made', () => {
  it('is sent as far as it has come, and the rest when it has a name', async () => {
    await using registry = await startRegistry()
    const growth = new Growth()
    const pushed = start(registry, growth)
    growth.to(6 * mebi)
    await sent(registry, 1)
    growth.to(bytes.byteLength, blob)
    expect(await pushed).toEqual(blob)
    expect(ranges(registry)).toEqual([`0-${6 * mebi - 1}`, `${6 * mebi}-${20 * mebi + 4}`])
    expect(has(registry)).toBe(true)
  })

  it('is asked for first when it is made before there was much of it', async () => {
    await using registry = await startRegistry()
    registry.blobs.set(blob.digest, bytes)
    const growth = new Growth()
    const pushed = start(registry, growth)
    growth.to(4 * mebi - 1)
    // It has been told by then, and has asked for an upload if it will.
    await setImmediate()
    growth.to(bytes.byteLength, blob)
    expect(await pushed).toEqual(blob)
    expect(registry.log.map(({ method }) => method)).toEqual(['HEAD'])
  })

  it('is not sent to its end when the registry turns out to have it', async () => {
    await using registry = await startRegistry()
    registry.blobs.set(blob.digest, bytes)
    const { growth, pushed } = await begin(registry, 4 * mebi)
    growth.to(bytes.byteLength, blob)
    await pushed
    expect(registry.log.map(({ method }) => method)).toEqual(['POST', 'PATCH', 'HEAD'])
  })

  it.each([['POST', 500], ['PATCH', 500], ['PATCH', 413], ['PATCH', 404]])('arrives when %s is answered with %i ahead', async (method, status) => {
    await using registry = await startRegistry()
    registry.on({ method, path: /uploads/u, times: method === 'POST' ? 3 : 1 }, answer(status))
    const growth = new Growth()
    const pushed = start(registry, growth)
    growth.to(5 * mebi)
    await expect.poll(() => registry.requests(method, /uploads/u).length).toBeGreaterThan(0)
    growth.to(bytes.byteLength, blob)
    expect([await pushed, has(registry)]).toEqual([blob, true])
  })

  it('is not waited for where nothing may be sent', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'POST', path: /uploads/u }, answer(401))
    const growth = new Growth()
    const pushed = failureOf(start(registry, growth))
    growth.to(5 * mebi)
    expect(await pushed).toMatchObject({ code: 'REGISTRY_ACCESS_DENIED' })
  })

  it('goes on from where a cut left it', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PATCH', path: /./u }, cutAt(2))
    const { growth, pushed } = await begin(registry, 5 * mebi)
    growth.to(10 * mebi)
    await sent(registry, 2)
    growth.to(bytes.byteLength, blob)
    await pushed
    expect(ranges(registry)).toEqual([`0-${5 * mebi - 1}`, `${5 * mebi}-${10 * mebi - 1}`, `${5 * mebi}-${20 * mebi + 4}`])
    expect(has(registry)).toBe(true)
  })

  it('waits as long as it is asked to', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PATCH', path: /./u, times: 1 }, answer(429, { 'retry-after': '1' }))
    const { growth, pushed } = await begin(registry, 5 * mebi)
    growth.to(bytes.byteLength, blob)
    await pushed
    const refused = registry.log.findIndex(({ method }) => method === 'PATCH')
    for (const request of registry.log.slice(refused + 1)) expect(request.atMs - (registry.log[refused]?.atMs ?? 0)).toBeGreaterThan(950)
    expect(has(registry)).toBe(true)
  })

  it('goes in no smaller pieces than the registry wants, and in no larger ones than we do', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'POST', path: /./u }, wantPieces(6 * mebi))
    const growth = new Growth()
    const pushed = start(registry, growth, createTestClient({ insecure: [registry.host], uploadChunkBytes: 7 * mebi }))
    growth.to(5 * mebi)
    await expect.poll(() => registry.requests('POST', /./u).length).toBe(1)
    growth.to(9 * mebi)
    await sent(registry, 1)
    growth.to(bytes.byteLength, blob)
    await pushed
    expect(ranges(registry).slice(0, 2)).toEqual([`0-${7 * mebi - 1}`, `${7 * mebi}-${14 * mebi - 1}`])
    expect(has(registry)).toBe(true)
  })

  it('is noted as soon as it has a name, so that another process can go on', async () => {
    await using registry = await startRegistry()
    const kept: number[] = []
    const journal: UploadJournal = { find: () => Promise.resolve(undefined), forget: () => Promise.resolve(), keep: (_, { offset }) => { kept.push(offset); return Promise.resolve() } }
    const { growth, pushed } = await begin(registry, 5 * mebi, createTestClient({ insecure: [registry.host], journal }))
    expect(kept).toEqual([])
    growth.to(bytes.byteLength, blob)
    await pushed
    expect(kept).toEqual([5 * mebi, bytes.byteLength])
  })

  it('that is not made after all fails as its maker did, and leaves nothing', async () => {
    await using registry = await startRegistry()
    const { growth, pushed } = await begin(registry, 5 * mebi)
    growth.fail(new RangeError('the disk is full'))
    expect(await failureOf(pushed)).toBeInstanceOf(RangeError)
    expect(registry.blobs.size).toBe(0)
  })
})
