import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createTestClient, insecureRule } from '../../test/support/client.ts'
import { appOf, collect, describeBytes } from '../../test/support/images.ts'
import type { Fault, TestRegistry } from '../../test/support/registry.ts'
import { answer, cutAfter, raw, startRegistry } from '../../test/support/registry.ts'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import { blob, bytes, pullBlob, rangesOf, startWithBlob } from '../../test/support/transferred-blob.ts'
import { InvalidAnswer, WrongContent } from '../errors.ts'

const task = recordingTask()

describe('a blob whose connection is cut', () => {
  it.each([
    ['at once', 0, 'reset'], ['after a byte', 1, 'reset'], ['in the middle', 1_500_000, 'reset'], ['before its last byte', 2_999_999, 'reset'], ['in the middle by an early end', 1_500_000, 'fin'],
  ] as const)('%s is continued where it broke', async (_, count, how) => {
    await using registry = await startWithBlob()
    registry.on({ path: /blobs/u, times: 1 }, cutAfter(count, bytes, how))
    expect(await pullBlob(registry)).toBe(true)
    const [first, second, ...others] = rangesOf(registry)
    expect([first, others]).toEqual([undefined, []])
    // A reset may discard bytes that had arrived.
    const resumedAt = Number(/^bytes=(\d+)-\d+$/u.exec(String(second))?.[1] ?? 0)
    expect(resumedAt).toBeLessThanOrEqual(count)
    if (how === 'fin') expect(resumedAt).toBe(count)
  })

  it('again and again gets through while it gets further', async () => {
    await using registry = await startRegistry()
    const long = randomBytes(12_000_000)
    const longBlob = describeBytes(long)
    registry.on({ path: /blobs/u, times: 8 }, cutAfter(1_200_000, long, 'fin'))
    registry.blobs.set(longBlob.digest, long)
    const client = createTestClient({ insecure: [registry.host], limits: { attempts: 3 } })
    expect(long.equals(await collect(client.fetchBlob(appOf(registry), longBlob, task)))).toBe(true)
    expect(registry.requests('GET', /blobs/u).length).toBeGreaterThan(8)
  })

  it('again and again without getting further is given up', async () => {
    await using registry = await startWithBlob()
    registry.on({ path: /blobs/u }, cutAfter(0, bytes))
    expect(await failureOf(pullBlob(registry))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'reset' })
    expect(rangesOf(registry)).toHaveLength(3)
  })

  it.each([
    ['by HTTP/1.0 without a length', `HTTP/1.0 200 OK\r\n\r\n`, 1_000_000],
    ['in a chunk', `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${(1_000_000).toString(16)}\r\n`, 1_000_000],
    ['by a length that promises more', `HTTP/1.1 200 OK\r\ncontent-length: ${bytes.byteLength}\r\n\r\n`, 10],
  ])('%s is never taken for whole', async (_, head, count) => {
    await using registry = await startWithBlob()
    registry.on({ path: /blobs/u, times: 1 }, raw(Buffer.concat([Buffer.from(head), bytes.subarray(0, count)])))
    expect(await pullBlob(registry)).toBe(true)
    expect(rangesOf(registry)).toEqual([undefined, `bytes=${count}-${blob.size - 1}`])
  })

  it('is whole when the last thing that was cut off was the connection', async () => {
    await using registry = await startWithBlob()
    registry.on({ path: /blobs/u, times: 1 }, raw(Buffer.concat([Buffer.from('HTTP/1.0 200 OK\r\n\r\n'), bytes])))
    expect(await pullBlob(registry)).toBe(true)
    expect(rangesOf(registry)).toEqual([undefined])
  })
})

describe('an answer to a request for the rest', () => {
  const rest = bytes.subarray(1000)
  const resume = async (fault: Fault): Promise<{ registry: TestRegistry; result: Promise<boolean> }> => {
    const registry = await startWithBlob()
    registry.on({ path: /blobs/u }, (exchange) => (exchange.request.headers.range === undefined ? cutAfter(1000, bytes, 'fin')(exchange) : fault(exchange)))
    return { registry, result: pullBlob(registry) }
  }

  it('that is the whole again is used from where we were', async () => {
    const { registry, result } = await resume(answer(200, {}, bytes))
    expect(await result).toBe(true)
    await registry[Symbol.asyncDispose]()
  })

  it.each([
    ['starts elsewhere', answer(206, { 'content-range': `bytes 999-2999999/3000000` }, rest)],
    ['is of something longer', answer(206, { 'content-range': `bytes 1000-2999999/3000001` }, rest)],
    ['ends behind the end', answer(206, { 'content-range': `bytes 1000-3000000/3000000` }, rest)],
    ['does not say what it is', answer(206, {}, rest)],
    ['is of several parts', answer(206, { 'content-type': 'multipart/byteranges; boundary=x' }, rest)],
    ['says that there is no more', answer(416)],
  ])('that %s is refused', async (_, fault) => {
    const { registry, result } = await resume(fault)
    expect(await failureOf(result)).toBeInstanceOf(InvalidAnswer)
    await registry[Symbol.asyncDispose]()
  })

  it('of another blob is found out over the whole, and the next try begins anew', async () => {
    const { registry } = { registry: await startWithBlob() }
    let isFirst = true
    registry.on({ path: /blobs/u, times: 2 }, (exchange) => {
      const fault = isFirst ? cutAfter(1000, bytes, 'fin') : answer(206, { 'content-range': 'bytes 1000-2999999/3000000' }, Buffer.alloc(rest.byteLength))
      isFirst = false
      return fault(exchange)
    })
    const client = createTestClient({ insecure: [registry.host] })
    const failure = await failureOf(pullBlob(registry, client))
    expect(failure).toBeInstanceOf(WrongContent)
    expect(failure).toMatchObject({ host: registry.host, isWorthRetrying: true, cause: { code: 'OCI_DIGEST_MISMATCH' } })
    expect(await pullBlob(registry, client)).toBe(true)
    expect(rangesOf(registry)).toEqual([undefined, `bytes=1000-${blob.size - 1}`, undefined])
    await registry[Symbol.asyncDispose]()
  })

  describe('with another ETag than the beginning had', () => {
    const begin = raw(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\netag: "one"\r\ncontent-length: ${bytes.byteLength}\r\n\r\n`), bytes.subarray(0, 1000)]))
    const asked = [undefined, `bytes=1000-${blob.size - 1}`]
    /** Each try is cut after a while and then goes on with this. */
    async function startWith(goOn: Fault): Promise<TestRegistry> {
      const registry = await startWithBlob()
      registry.on({ path: /blobs/u }, (exchange) => (exchange.request.headers.range === undefined ? begin : goOn)(exchange))
      return registry
    }
    const restAs = (etag: string, content = rest): Fault => answer(206, { etag, 'content-range': 'bytes 1000-2999999/3000000' }, content)

    it.each([['the rest', restAs('"two"')], ['the whole again', answer(200, { etag: '"two"' }, bytes)]])('is not put behind it, and the next try begins anew: %s', async (_, goOn) => {
      await using registry = await startWith(goOn)
      const client = createTestClient({ insecure: [registry.host] })
      const failure = await failureOf(pullBlob(registry, client))
      expect(failure).toMatchObject({ code: 'REGISTRY_WRONG_CONTENT', isWorthRetrying: true, cause: { code: 'OCI_DIGEST_MISMATCH', actual: { sizeBytes: 1000 } } })
      expect(String(failure)).toContain('behind 1000 bytes of it came something else')
      // Machines behind one name may each have ETags of their own: the second time the digest decides.
      expect(await pullBlob(registry, client)).toBe(true)
      expect(rangesOf(registry)).toEqual([...asked, ...asked])
    })

    it('is found wrong by its digest, and no third time is worth while', async () => {
      await using registry = await startWith(restAs('"two"', Buffer.alloc(rest.byteLength)))
      const client = createTestClient({ insecure: [registry.host] })
      expect(await failureOf(pullBlob(registry, client))).toMatchObject({ code: 'REGISTRY_WRONG_CONTENT', isWorthRetrying: true })
      expect(await failureOf(pullBlob(registry, client))).toMatchObject({ code: 'REGISTRY_WRONG_CONTENT', isWorthRetrying: false })
    })

    it('is not mended by a mirror\'s registry in the same go', async () => {
      await using mirror = await startWith(restAs('"two"'))
      await using origin = await startWithBlob()
      const client = createTestClient({ rules: [{ ...insecureRule(origin.host), mirrors: [{ location: `${mirror.host}/mirrored`, isInsecure: true, pullFrom: 'all' }] }] })
      expect(await failureOf(pullBlob(origin, client))).toMatchObject({ code: 'REGISTRY_WRONG_CONTENT', host: mirror.host, isWorthRetrying: true })
      expect(origin.log).toEqual([])
    })

    it.each(['W/"two"', 'two', '"one"'])('is not %s, which says nothing of bytes or the same', async (etag) => {
      await using registry = await startWith(restAs(etag))
      expect(await pullBlob(registry)).toBe(true)
      expect(rangesOf(registry)).toEqual(asked)
    })
  })

  it('that nobody made a request for is refused', async () => {
    await using registry = await startWithBlob()
    registry.on({ path: /blobs/u }, answer(206, { 'content-range': 'bytes 0-2999999/3000000' }, bytes))
    expect(await failureOf(pullBlob(registry))).toMatchObject({ code: 'REGISTRY_UNEXPECTED_STATUS', status: 206 })
  })
})
