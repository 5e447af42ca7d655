import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, describe, expect, it } from 'vitest'
import { createTestClient } from '../../test/support/client.ts'
import { collect, describeBytes } from '../../test/support/images.ts'
import type { Fault, TestRegistry } from '../../test/support/registry.ts'
import { startRegistry } from '../../test/support/registry.ts'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import type { Task } from '../../core/task.ts'
import { parseReference } from '../reference.ts'
import type { ByteRange } from './ranges.ts'
import { rangeBytes, readRanges } from './ranges.ts'

const mebi = 1024 * 1024
const bytes = randomBytes(28 * mebi + 7)
const blob = describeBytes(bytes)
const task = recordingTask()

function pull(registry: TestRegistry): Promise<Buffer> {
  return collect(createTestClient().fetchBlob(parseReference(`${registry.host}/app:1`), blob, task))
}

/** Gives each connection about five megabytes a second, as a registry far away does. */
const slowly = (change: (range: string, part: Buffer) => Buffer | undefined = (_, part) => part): Fault => async ({ request, response }) => {
  const range = request.headers.range ?? ''
  const [, first = '0', last = ''] = /^bytes=(\d+)-(\d*)$/u.exec(range) ?? []
  const end = last === '' ? bytes.byteLength : Number(last) + 1
  const part = change(range, bytes.subarray(Number(first), end))
  if (part === undefined) {
    request.socket.destroy()
    return
  }
  response.writeHead(range === '' ? 200 : 206, { 'content-length': part.byteLength, 'accept-ranges': 'bytes', ...(range === '' ? {} : { 'content-range': `bytes ${first}-${end - 1}/${bytes.byteLength}` }) })
  for (let at = 0; at < part.byteLength && !response.destroyed; at += 128 * 1024) {
    response.write(part.subarray(at, at + 128 * 1024))
    await sleep(24)
  }
  response.end()
}

describe('a blob', () => {
  let rangesAsked: (string | undefined)[]
  beforeEach(() => { rangesAsked = [] })

  it('that comes quickly comes over one connection', async () => {
    await using registry = await startRegistry()
    registry.blobs.set(blob.digest, bytes)
    expect((await pull(registry)).equals(bytes)).toBe(true)
    expect(registry.requests('GET', /blobs/u)).toHaveLength(1)
  })

  it('that comes slowly comes over several, although one of them breaks', async () => {
    await using registry = await startRegistry()
    let broken = 0
    registry.on({ path: /blobs/u }, slowly((range, part) => {
      rangesAsked.push(range)
      if (rangesAsked.length !== 4) return part
      broken += 1
      return undefined
    }))
    expect((await pull(registry)).equals(bytes)).toBe(true)
    expect([rangesAsked.length > 5, rangesAsked[0], broken]).toEqual([true, '', 1])
  })

  it('that was put together of wrong parts is refused', async () => {
    await using registry = await startRegistry()
    registry.on({ path: /blobs/u }, slowly((range, part) => (range === '' ? part : Buffer.alloc(part.byteLength))))
    expect(await failureOf(pull(registry))).toMatchObject({ code: 'REGISTRY_WRONG_CONTENT' })
  })
})

describe('readRanges', () => {
  const nothing = { signal: new AbortController().signal, emit: () => undefined }
  const small = { ...blob, size: 3 * rangeBytes + 9 }

  it('gives what is left in order, whatever order it comes in', async () => {
    const asked: ByteRange[] = []
    const read = async (range: ByteRange): Promise<Uint8Array[]> => {
      asked.push(range)
      await sleep(20 - asked.length * 5)
      return [bytes.subarray(range.first, range.last + 1)]
    }
    expect((await collect(readRanges({ blob: small, fromByte: 5, read }, nothing))).equals(bytes.subarray(5, small.size))).toBe(true)
    expect(asked.map(({ first, last }) => last - first + 1)).toEqual([rangeBytes, rangeBytes, rangeBytes, 4])
  })

  it('stops the others when one fails, and gives nothing behind it', async () => {
    const stopped: unknown[] = []
    const read = async ({ first }: ByteRange, { signal }: Pick<Task, 'signal'>): Promise<Uint8Array[]> => {
      if (first === 0) return [bytes.subarray(0, rangeBytes)]
      if (first === rangeBytes) throw new Error('broken')
      await sleep(10_000, undefined, { signal }).catch((error: unknown) => { stopped.push(error) })
      return []
    }
    let receivedBytes = 0
    const failure = await failureOf((async () => { for await (const chunk of readRanges({ blob: small, fromByte: 0, read }, nothing)) receivedBytes += chunk.byteLength })())
    expect([String(failure), receivedBytes, stopped.length]).toEqual(['Error: broken', rangeBytes, 2])
  })
})
