import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createTestClient, insecureRule } from '../../test/support/client.ts'
import { appOf, collect, createImage, describeBytes, publish } from '../../test/support/images.ts'
import type { Fault, TestRegistry } from '../../test/support/registry.ts'
import { answer, cutAfter, raw, reply, startRegistry } from '../../test/support/registry.ts'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import { DigestMismatch, UnsupportedMediaType } from '../../oci/errors.ts'
import type { RegistryClient } from '../client.ts'
import type { RegistryRule } from '../config/registries-file.ts'
import { AllPlacesFailed, BlobUnknown, InvalidAnswer, RegistryUnreachable, WrongContent } from '../errors.ts'
import { pullImage } from '../pull.ts'

const bytes = randomBytes(3_000_000)
const blob = describeBytes(bytes)
const task = recordingTask()

async function startWithBlob(): Promise<TestRegistry> {
  const registry = await startRegistry()
  registry.blobs.set(blob.digest, bytes)
  return registry
}

async function pull(registry: TestRegistry, client: RegistryClient = createTestClient({ insecure: [registry.host] })): Promise<boolean> {
  return bytes.equals(await collect(client.fetchBlob(appOf(registry), blob, task)))
}

const rangesOf = (registry: TestRegistry): unknown[] => registry.requests('GET', /blobs/u).map(({ headers }) => headers.range)
/** 200 with these headers over this body. */
const body = (content: Buffer, headers: Record<string, string> = {}, status = 200): Fault => ({ response }) => { reply(response, { status, headers, body: content }) }

describe('a blob whose connection is cut', () => {
  it.each([
    ['at once', 0, 'reset'], ['after a byte', 1, 'reset'], ['in the middle', 1_500_000, 'reset'], ['before its last byte', 2_999_999, 'reset'], ['in the middle by an early end', 1_500_000, 'fin'],
  ] as const)('%s is continued where it broke', async (_, count, how) => {
    await using registry = await startWithBlob()
    registry.on({ path: /blobs/u, times: 1 }, cutAfter(count, bytes, how))
    expect(await pull(registry)).toBe(true)
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
    expect(await failureOf(pull(registry))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'reset' })
    expect(rangesOf(registry)).toHaveLength(3)
  })

  it.each([
    ['by HTTP/1.0 without a length', `HTTP/1.0 200 OK\r\n\r\n`, 1_000_000],
    ['in a chunk', `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${(1_000_000).toString(16)}\r\n`, 1_000_000],
    ['by a length that promises more', `HTTP/1.1 200 OK\r\ncontent-length: ${bytes.byteLength}\r\n\r\n`, 10],
  ])('%s is never taken for whole', async (_, head, count) => {
    await using registry = await startWithBlob()
    registry.on({ path: /blobs/u, times: 1 }, raw(Buffer.concat([Buffer.from(head), bytes.subarray(0, count)])))
    expect(await pull(registry)).toBe(true)
    expect(rangesOf(registry)).toEqual([undefined, `bytes=${count}-${blob.size - 1}`])
  })

  it('is whole when the last thing that was cut off was the connection', async () => {
    await using registry = await startWithBlob()
    registry.on({ path: /blobs/u, times: 1 }, raw(Buffer.concat([Buffer.from('HTTP/1.0 200 OK\r\n\r\n'), bytes])))
    expect(await pull(registry)).toBe(true)
    expect(rangesOf(registry)).toEqual([undefined])
  })
})

describe('an answer to a request for the rest', () => {
  const rest = bytes.subarray(1000)
  const resume = async (fault: Fault): Promise<{ registry: TestRegistry; result: Promise<boolean> }> => {
    const registry = await startWithBlob()
    registry.on({ path: /blobs/u }, (exchange) => (exchange.request.headers.range === undefined ? cutAfter(1000, bytes, 'fin')(exchange) : fault(exchange)))
    return { registry, result: pull(registry) }
  }

  it('that is the whole again is used from where we were', async () => {
    const { registry, result } = await resume(body(bytes))
    expect(await result).toBe(true)
    await registry[Symbol.asyncDispose]()
  })

  it.each([
    ['starts elsewhere', body(rest, { 'content-range': `bytes 999-2999999/3000000` }, 206)],
    ['is of something longer', body(rest, { 'content-range': `bytes 1000-2999999/3000001` }, 206)],
    ['ends behind the end', body(rest, { 'content-range': `bytes 1000-3000000/3000000` }, 206)],
    ['does not say what it is', body(rest, {}, 206)],
    ['is of several parts', body(rest, { 'content-type': 'multipart/byteranges; boundary=x' }, 206)],
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
      const fault = isFirst ? cutAfter(1000, bytes, 'fin') : body(Buffer.alloc(rest.byteLength), { 'content-range': 'bytes 1000-2999999/3000000' }, 206)
      isFirst = false
      return fault(exchange)
    })
    const client = createTestClient({ insecure: [registry.host] })
    const failure = await failureOf(pull(registry, client))
    expect(failure).toBeInstanceOf(WrongContent)
    expect(failure).toMatchObject({ host: registry.host, isWorthRetrying: true, cause: { code: 'OCI_DIGEST_MISMATCH' } })
    expect(await pull(registry, client)).toBe(true)
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
    const restAs = (etag: string, content = rest): Fault => body(content, { etag, 'content-range': 'bytes 1000-2999999/3000000' }, 206)

    it.each([['the rest', restAs('"two"')], ['the whole again', body(bytes, { etag: '"two"' })]])('is not put behind it, and the next try begins anew: %s', async (_, goOn) => {
      await using registry = await startWith(goOn)
      const client = createTestClient({ insecure: [registry.host] })
      const failure = await failureOf(pull(registry, client))
      expect(failure).toMatchObject({ code: 'REGISTRY_WRONG_CONTENT', isWorthRetrying: true, cause: { code: 'OCI_DIGEST_MISMATCH', actual: { sizeBytes: 1000 } } })
      expect(String(failure)).toContain('behind 1000 bytes of it came something else')
      // Machines behind one name may each have ETags of their own: the second time the digest decides.
      expect(await pull(registry, client)).toBe(true)
      expect(rangesOf(registry)).toEqual([...asked, ...asked])
    })

    it('is found wrong by its digest, and no third time is worth while', async () => {
      await using registry = await startWith(restAs('"two"', Buffer.alloc(rest.byteLength)))
      const client = createTestClient({ insecure: [registry.host] })
      expect(await failureOf(pull(registry, client))).toMatchObject({ code: 'REGISTRY_WRONG_CONTENT', isWorthRetrying: true })
      expect(await failureOf(pull(registry, client))).toMatchObject({ code: 'REGISTRY_WRONG_CONTENT', isWorthRetrying: false })
    })

    it('is not mended by a mirror\'s registry in the same go', async () => {
      await using mirror = await startWith(restAs('"two"'))
      await using origin = await startWithBlob()
      const client = createTestClient({ rules: [{ ...insecureRule(origin.host), mirrors: [{ location: `${mirror.host}/mirrored`, isInsecure: true, pullFrom: 'all' }] }] })
      expect(await failureOf(pull(origin, client))).toMatchObject({ code: 'REGISTRY_WRONG_CONTENT', host: mirror.host, isWorthRetrying: true })
      expect(origin.log).toEqual([])
    })

    it.each(['W/"two"', 'two', '"one"'])('is not %s, which says nothing of bytes or the same', async (etag) => {
      await using registry = await startWith(restAs(etag))
      expect(await pull(registry)).toBe(true)
      expect(rangesOf(registry)).toEqual(asked)
    })
  })

  it('that nobody made a request for is refused', async () => {
    await using registry = await startWithBlob()
    registry.on({ path: /blobs/u }, body(bytes, { 'content-range': 'bytes 0-2999999/3000000' }, 206))
    expect(await failureOf(pull(registry))).toMatchObject({ code: 'REGISTRY_UNEXPECTED_STATUS', status: 206 })
  })
})

describe('a blob that is not the one asked for', () => {
  const flipped = Buffer.from(bytes)
  flipped[1_234_567] = (flipped[1_234_567] ?? 0) ^ 1

  it.each([
    ['has a flipped bit', body(flipped)],
    ['is empty', raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n')],
    ['is another', body(randomBytes(bytes.byteLength))],
    ['is longer than it says', raw(Buffer.concat([Buffer.from('HTTP/1.0 200 OK\r\n\r\n'), bytes, Buffer.from('x')]))],
    ['is longer', body(Buffer.concat([bytes, Buffer.from('x')]))],
    ['is shorter', body(bytes.subarray(1))],
    ['is longer than its length', raw(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n`), bytes.subarray(0, 11)]), { keepOpen: true })],
    ['has two lengths', raw(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes.byteLength}\r\ncontent-length: 10\r\n\r\n`), bytes]))],
    ['has a negative length', raw(Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n'), bytes]))],
    ['comes compressed', body(bytes, { 'content-encoding': 'gzip' })],
  ])('because it %s fails', async (_, fault) => {
    await using registry = await startWithBlob()
    registry.on({ path: /blobs/u }, fault)
    const failure = await failureOf(pull(registry))
    expect([WrongContent, InvalidAnswer, RegistryUnreachable].some((kind) => failure instanceof kind)).toBe(true)
    expect(failure).toMatchObject({ host: registry.host })
  })

  it('says what was expected and what came', async () => {
    await using registry = await startWithBlob()
    registry.on({ path: /blobs/u }, body(flipped))
    const failure = await failureOf(pull(registry))
    expect(failure).toMatchObject({ isWorthRetrying: false })
    expect((failure as WrongContent).cause).toBeInstanceOf(DigestMismatch)
    expect((failure as WrongContent).cause).toMatchObject({ expected: { digest: blob.digest }, actual: { digest: describeBytes(flipped).digest } })
  })

  it('asks for no compression', async () => {
    await using registry = await startWithBlob()
    await pull(registry)
    expect(registry.requests('GET', /blobs/u)[0]?.headers['accept-encoding']).toBe('identity')
  })

  it('is not looked for when the registry has none', async () => {
    await using registry = await startRegistry()
    expect(await failureOf(pull(registry))).toBeInstanceOf(BlobUnknown)
  })

  it.each([mediaTypes.dockerForeignLayer, 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip'])('is not fetched at all as %s', async (mediaType) => {
    await using registry = await startWithBlob()
    await using elsewhere = await startRegistry()
    const foreign = { ...blob, mediaType, urls: [`${elsewhere.origin}/x`] }
    expect(await failureOf(collect(createTestClient({ insecure: [registry.host] }).fetchBlob(appOf(registry), foreign, task)))).toBeInstanceOf(UnsupportedMediaType)
    expect([...registry.log, ...elsewhere.log]).toEqual([])
  })

  it('is not fetched from addresses an image names', async () => {
    await using registry = await startRegistry()
    await using elsewhere = await startRegistry()
    expect(await failureOf(collect(createTestClient({ insecure: [registry.host] }).fetchBlob(appOf(registry), { ...blob, urls: [`${elsewhere.origin}/x`] }, task)))).toBeInstanceOf(BlobUnknown)
    expect(elsewhere.log).toEqual([])
  })
})

describe('a reader that stops', () => {
  it('closes the connection', async () => {
    await using registry = await startWithBlob()
    let isClosed = false
    registry.on({ path: /blobs/u }, ({ response }) => {
      response.on('close', () => { isClosed = true })
      response.writeHead(200)
      response.write(bytes.subarray(0, 100))
    })
    for await (const chunk of createTestClient({ insecure: [registry.host] }).fetchBlob(appOf(registry), blob, task)) if (chunk.byteLength > 0) break
    await expect.poll(() => isClosed).toBe(true)
  })

  it('by its signal gets the reason of that', async () => {
    await using registry = await startWithBlob()
    registry.on({ path: /blobs/u }, ({ response }) => {
      response.writeHead(200)
      response.write(bytes.subarray(0, 100))
    })
    const controller = new AbortController()
    const reason = new Error('enough')
    const chunks = createTestClient({ insecure: [registry.host] }).fetchBlob(appOf(registry), blob, recordingTask(controller.signal))
    setTimeout(() => { controller.abort(reason) }, 30)
    expect(await failureOf(collect(chunks))).toBe(reason)
  })
})

describe('progress', () => {
  it('ends with all bytes transferred', async () => {
    await using registry = await startWithBlob()
    const watched = recordingTask()
    await collect(createTestClient({ insecure: [registry.host] }).fetchBlob(appOf(registry), blob, watched))
    expect(watched.events.at(-1)).toEqual({ type: 'transfer-progressed', direction: 'pull', digest: blob.digest, doneBytes: blob.size, totalBytes: blob.size, outcome: 'transferred' })
    expect(watched.events[0]).toMatchObject({ outcome: 'running' })
  })
})

describe('mirrors', () => {
  const mirrored = (origin: TestRegistry, ...mirrors: RegistryRule['mirrors']): RegistryRule => ({ ...insecureRule(origin.host), mirrors })
  const mirrorOf = (registry: TestRegistry, pullFrom: 'all' | 'digest-only' | 'tag-only' = 'all'): RegistryRule['mirrors'][number] => ({ location: `${registry.host}/mirrored`, isInsecure: true, pullFrom })
  const image = createImage({ layerBytes: [100_000] })
  const [layer = image.config] = image.layers

  it('are asked before the registry, under their own path', async () => {
    await using origin = await startRegistry()
    await using mirror = await startRegistry()
    publish(mirror, image, { repository: 'mirrored/app', tag: '1' })
    const client = createTestClient({ rules: [mirrored(origin, mirrorOf(mirror))] })
    await pullImage(client, { reference: appOf(origin), platform: { os: 'linux', architecture: 'amd64' } }, task)
    await collect(client.fetchBlob(appOf(origin), layer, task))
    expect(origin.log).toEqual([])
  })

  it('that lack it, lie or are gone are passed over in order', async () => {
    await using origin = await startRegistry()
    await using lacking = await startRegistry()
    await using lying = await startRegistry()
    const gone = await startRegistry()
    await gone[Symbol.asyncDispose]()
    publish(origin, image, { repository: 'app', tag: '1' })
    lying.on({ path: /manifests/u }, answer(200, { 'content-type': image.manifest.mediaType, 'docker-content-digest': image.manifest.descriptor.digest }, '{}'))
    lying.on({ path: /blobs/u }, answer(500))
    const client = createTestClient({ rules: [mirrored(origin, mirrorOf(lacking), mirrorOf(lying), mirrorOf(gone))] })
    const reference = { ...appOf(origin), digest: image.manifest.descriptor.digest }
    expect((await client.fetchManifest(reference, task)).bytes).toEqual(image.manifest.bytes)
    expect(await collect(client.fetchBlob(reference, layer, task))).toHaveLength(layer.size)
    expect([lacking, lying].map(({ log }) => log.length > 0)).toEqual([true, true])
  })

  it('that all fail are all named, with what went wrong at each', async () => {
    await using origin = await startRegistry()
    await using lacking = await startRegistry()
    await using failing = await startRegistry()
    failing.on({ path: /manifests|blobs/u }, answer(503))
    const client = createTestClient({ rules: [mirrored(origin, mirrorOf(lacking), mirrorOf(failing))] })
    for (const work of [client.fetchManifest(appOf(origin), task), collect(client.fetchBlob(appOf(origin), layer, task))]) {
      const failure = await failureOf(work)
      expect(failure).toBeInstanceOf(AllPlacesFailed)
      expect((failure as AllPlacesFailed).failures.map(({ host, error }) => [host, (error as { code: string }).code])).toEqual([
        [lacking.host, expect.stringMatching(/UNKNOWN$/u)], [failing.host, 'REGISTRY_UNEXPECTED_STATUS'], [origin.host, expect.stringMatching(/UNKNOWN$/u)],
      ])
      for (const host of [lacking.host, failing.host, origin.host]) expect((failure as Error).message).toContain(host)
    }
    expect(await client.resolve(appOf(origin), task)).toBeUndefined()
  })

  it('take over in the middle of a blob', async () => {
    await using origin = await startWithBlob()
    await using mirror = await startRegistry()
    let isFirst = true
    mirror.on({ path: /blobs/u }, (exchange) => {
      if (!isFirst) return answer(500)(exchange)
      isFirst = false
      return cutAfter(2_000_000, bytes, 'fin')(exchange)
    })
    const client = createTestClient({ rules: [mirrored(origin, mirrorOf(mirror))] })
    expect(await pull(origin, client)).toBe(true)
    expect(rangesOf(origin)).toEqual(['bytes=2000000-2999999'])
  })

  it('that sent wrong bytes are asked last from then on', async () => {
    await using origin = await startWithBlob()
    await using mirror = await startRegistry()
    mirror.on({ path: /blobs/u }, body(randomBytes(bytes.byteLength)))
    const client = createTestClient({ rules: [mirrored(origin, mirrorOf(mirror))] })
    expect(await failureOf(pull(origin, client))).toMatchObject({ code: 'REGISTRY_WRONG_CONTENT', host: mirror.host, isWorthRetrying: true })
    expect(await pull(origin, client)).toBe(true)
    expect(mirror.requests('GET', /blobs/u)).toHaveLength(1)
  })

  it('that could not be reached are asked last from then on', async () => {
    await using origin = await startRegistry()
    publish(origin, image, { repository: 'app', tag: '1' })
    await using mirror = await startRegistry()
    mirror.on({ path: /./u }, ({ response }) => { response.socket?.destroy() })
    const client = createTestClient({ rules: [mirrored(origin, mirrorOf(mirror))] })
    await client.fetchManifest(appOf(origin), task)
    const before = mirror.log.length
    await collect(client.fetchBlob(appOf(origin), layer, task))
    expect([before > 0, mirror.log.length - before]).toEqual([true, 0])
  })

  it('serve tags, digests or both, as the configuration says, and blobs always by digest', async () => {
    await using origin = await startRegistry()
    await using digests = await startRegistry()
    await using tags = await startRegistry()
    publish(origin, image, { repository: 'app', tag: '1' })
    const client = createTestClient({ rules: [mirrored(origin, mirrorOf(digests, 'digest-only'), mirrorOf(tags, 'tag-only'))] })
    const { tag, ...rest } = appOf(origin)
    await client.fetchManifest({ ...rest, tag }, task)
    expect([digests.requests('GET', /manifests/u).length, tags.requests('GET', /manifests/u).length]).toEqual([0, 1])
    await client.fetchManifest({ ...rest, tag: undefined, digest: image.manifest.descriptor.digest }, task)
    expect([digests.requests('GET', /manifests/u).length, tags.requests('GET', /manifests/u).length]).toEqual([1, 1])
    await collect(client.fetchBlob({ ...rest, tag }, layer, task))
    expect(digests.requests('GET', /blobs/u)).toHaveLength(1)
  })

  it('are not asked for what the configuration blocks, nor is anybody', async () => {
    await using origin = await startRegistry()
    const client = createTestClient({ rules: [{ ...insecureRule(origin.host), isBlocked: true }] })
    for (const work of [client.fetchManifest(appOf(origin), task), client.resolve(appOf(origin), task), collect(client.fetchBlob(appOf(origin), blob, task)), client.pushManifest(appOf(origin), image.manifest, task)]) {
      expect(await failureOf(work)).toMatchObject({ code: 'REGISTRY_BLOCKED', prefix: origin.host })
    }
    expect(origin.log).toEqual([])
  })

  it('are never pushed to', async () => {
    await using origin = await startRegistry()
    await using mirror = await startRegistry()
    await createTestClient({ rules: [mirrored(origin, mirrorOf(mirror))] }).pushManifest(appOf(origin), image.manifest, task)
    expect(mirror.log).toEqual([])
    expect(origin.manifests.has('app 1')).toBe(true)
  })
})
