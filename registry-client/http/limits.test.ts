import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createTestClient } from '../../test/support/client.ts'
import { appOf, collect, createImage, sourceOf, startWithImage } from '../../test/support/images.ts'
import type { Fault } from '../../test/support/registry.ts'
import { raw, silence, startRegistry } from '../../test/support/registry.ts'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import { InvalidAnswer, RegistryUnreachable } from '../errors.ts'
import { parseReference } from '../reference.ts'

const image = createImage({ layerBytes: [200_000] })
const [layer = image.config] = image.layers
const task = recordingTask()

describe('a server that stalls', () => {
  const slowly = (text: string, everyMs: number): Fault => ({ response }) => {
    let sent = 0
    const timer = setInterval(() => { response.socket?.write(text.charAt(sent++ % text.length)) }, everyMs)
    response.socket?.on('close', () => { clearInterval(timer) })
  }

  it.each([
    ['accepts and says nothing', silence],
    ['sends its headers a byte at a time', slowly('HTTP/1.1 200 OK\r\nx-header: abcdefghijklmnopqrstuvwxyz', 40)],
  ])('is left when it %s', async (_, fault) => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u }, fault)
    const failure = await failureOf(createTestClient({ insecure: [registry.host], limits: { answerMs: 150 } }).fetchManifest(appOf(registry), task))
    expect(failure).toBeInstanceOf(RegistryUnreachable)
    expect(failure).toMatchObject({ reason: 'timeout', host: registry.host })
    expect(registry.requests('GET', /manifests/u)).toHaveLength(3)
  })

  it.each([
    ['stops in a body', 60_000, 64],
    ['trickles', 20, 64 * 1024],
  ])('is left when it %s', async (_, everyMs, minBytesPerSecond) => {
    await using registry = await startWithImage(image)
    registry.on({ path: /blobs/u }, ({ response }) => {
      response.writeHead(200, { 'content-length': layer.size })
      response.write('x')
      const timer = setInterval(() => { response.write('x') }, everyMs)
      response.on('close', () => { clearInterval(timer) })
    })
    const client = createTestClient({ insecure: [registry.host], limits: { idleMs: 100, minBytesPerSecond, attempts: 2 } })
    expect(await failureOf(collect(client.fetchBlob(appOf(registry), layer, task)))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'timeout' })
  })

  it('is not blamed for the time the reader takes', async () => {
    await using registry = await startWithImage(image)
    const client = createTestClient({ insecure: [registry.host], limits: { idleMs: 400, attempts: 1 } })
    let sizeBytes = 0
    for await (const chunk of client.fetchBlob(appOf(registry), layer, task)) {
      sizeBytes += chunk.byteLength
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
    expect(sizeBytes).toBe(layer.size)
  })

  it('is left when it takes nothing of an upload', async () => {
    await using registry = await startRegistry()
    const big = createImage({ layerBytes: [20_000_000] })
    registry.on({ method: 'PATCH', path: /uploads/u }, silence)
    const client = createTestClient({ insecure: [registry.host], limits: { idleMs: 100, attempts: 2 } })
    const [bigLayer = big.config] = big.layers
    expect(await failureOf(client.pushBlob(appOf(registry), { blob: bigLayer, source: sourceOf(big.blobs) }, task))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'timeout' })
  })

  it('may not hold us with interim answers', async () => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u }, raw('HTTP/1.1 102 Processing\r\n\r\n'.repeat(1000), { keepOpen: true }))
    expect(await failureOf(createTestClient({ insecure: [registry.host] }).fetchManifest(appOf(registry), task))).toBeInstanceOf(InvalidAnswer)
  })

  it('in the middle of agreeing on TLS is left', async () => {
    const server = createServer(() => undefined)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const client = createTestClient({ limits: { connectMs: 100, answerMs: 300, attempts: 1 } })
    expect(await failureOf(client.fetchManifest(parseReference(`${host}/app:1`), task))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'timeout', host })
    server.close()
  })

  it('may not hold us with what it says about a chunk', async () => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u }, raw(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;${'x'.repeat(1_000_000)}`, { keepOpen: true }))
    expect(await failureOf(createTestClient({ insecure: [registry.host] }).fetchManifest(appOf(registry), task))).toMatchObject({ code: 'REGISTRY_UNREACHABLE' })
  })

  it('may not fill our memory with headers', async () => {
    await using registry = await startWithImage(image)
    registry.on({ path: /manifests/u }, raw(`HTTP/1.1 200 OK\r\n${`x-filler: ${'y'.repeat(1000)}\r\n`.repeat(1000)}\r\n`))
    expect(await failureOf(createTestClient({ insecure: [registry.host] }).fetchManifest(appOf(registry), task))).toMatchObject({ code: 'REGISTRY_UNREACHABLE', reason: 'protocol', detail: 'HPE_HEADER_OVERFLOW' })
  })

  it('that closes kept connections costs nothing but a new one', async () => {
    await using registry = await startWithImage(image)
    const client = createTestClient({ insecure: [registry.host] })
    for (let round = 0; round < 5; round += 1) {
      await client.fetchManifest(appOf(registry), task)
      registry.on({ path: /manifests/u, times: 1 }, ({ response }) => { response.socket?.destroy() })
    }
    expect(registry.requests('GET', /manifests/u)).toHaveLength(9)
  })
})
