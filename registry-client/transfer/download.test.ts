import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createTestClient } from '../../test/support/client.ts'
import { appOf, collect, describeBytes } from '../../test/support/images.ts'
import { answer, raw, startRegistry } from '../../test/support/registry.ts'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import { blob, bytes, pullBlob, startWithBlob } from '../../test/support/transferred-blob.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import { DigestMismatch, UnsupportedMediaType } from '../../oci/errors.ts'
import { BlobUnknown, InvalidAnswer, RegistryUnreachable, WrongContent } from '../errors.ts'

const task = recordingTask()

describe('a blob that is not the one asked for', () => {
  const flipped = Buffer.from(bytes)
  flipped[1_234_567] = (flipped[1_234_567] ?? 0) ^ 1

  it.each([
    ['has a flipped bit', answer(200, {}, flipped)],
    ['is empty', raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n')],
    ['is another', answer(200, {}, randomBytes(bytes.byteLength))],
    ['is longer than it says', raw(Buffer.concat([Buffer.from('HTTP/1.0 200 OK\r\n\r\n'), bytes, Buffer.from('x')]))],
    ['is longer', answer(200, {}, Buffer.concat([bytes, Buffer.from('x')]))],
    ['is shorter', answer(200, {}, bytes.subarray(1))],
    ['is longer than its length', raw(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n`), bytes.subarray(0, 11)]), { keepOpen: true })],
    ['has two lengths', raw(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes.byteLength}\r\ncontent-length: 10\r\n\r\n`), bytes]))],
    ['has a negative length', raw(Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n'), bytes]))],
    ['comes compressed', answer(200, { 'content-encoding': 'gzip' }, bytes)],
  ])('because it %s fails', async (_, fault) => {
    await using registry = await startWithBlob()
    registry.on({ path: /blobs/u }, fault)
    const failure = await failureOf(pullBlob(registry))
    expect([WrongContent, InvalidAnswer, RegistryUnreachable].some((kind) => failure instanceof kind)).toBe(true)
    expect(failure).toMatchObject({ host: registry.host })
  })

  it('says what was expected and what came', async () => {
    await using registry = await startWithBlob()
    registry.on({ path: /blobs/u }, answer(200, {}, flipped))
    const failure = await failureOf(pullBlob(registry))
    expect(failure).toMatchObject({ isWorthRetrying: false })
    expect((failure as WrongContent).cause).toBeInstanceOf(DigestMismatch)
    expect((failure as WrongContent).cause).toMatchObject({ expected: { digest: blob.digest }, actual: { digest: describeBytes(flipped).digest } })
  })

  it('asks for no compression', async () => {
    await using registry = await startWithBlob()
    await pullBlob(registry)
    expect(registry.requests('GET', /blobs/u)[0]?.headers['accept-encoding']).toBe('identity')
  })

  it('is not looked for when the registry has none', async () => {
    await using registry = await startRegistry()
    expect(await failureOf(pullBlob(registry))).toBeInstanceOf(BlobUnknown)
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
