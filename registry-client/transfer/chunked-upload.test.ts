import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TestClientOptions } from '../../test/support/client.ts'
import { createTestClient } from '../../test/support/client.ts'
import { describeBytes, sourceOf } from '../../test/support/images.ts'
import type { Fault, TestRegistry } from '../../test/support/registry.ts'
import { answer, cutAt, reply, startRegistry, wantPieces } from '../../test/support/registry.ts'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import type { BlobSource } from '../client.ts'
import { parseReference } from '../reference.ts'
import { createUploadJournal } from './upload-journal.ts'

const mebi = 1024 * 1024
const bytes = randomBytes(10 * mebi + 5)
const blob = describeBytes(bytes)
const source = sourceOf(new Map([[blob.digest, bytes]]))
const task = recordingTask()
let directory: string
beforeAll(async () => { directory = await mkdtemp(join(tmpdir(), 'chunked-upload-')) })
afterAll(async () => { await rm(directory, { recursive: true }) })

async function push(registry: TestRegistry, options: TestClientOptions = { uploadChunkBytes: 4 * mebi }, from: BlobSource = source): Promise<void> {
  await createTestClient(options).pushBlob(parseReference(`${registry.host}/app:1`), { blob, source: from }, task)
}

const bodies = (registry: TestRegistry, method: string): number[] => registry.requests(method, /uploads/u).map(({ bodyBytes }) => bodyBytes)
const has = (registry: TestRegistry): boolean => registry.blobs.get(blob.digest)?.equals(bytes) === true

/** A proxy's limit on bodies, told before the body is read. */
const limitBodies = (most: number): Fault => async ({ request, response, proceed }) => {
  if (Number(request.headers['content-length']) <= most) await proceed()
  else reply(response, { status: 413, headers: { connection: 'close' } })
}

describe('a big blob', () => {
  it('goes in pieces, and its source is read once', async () => {
    await using registry = await startRegistry()
    let reads = 0
    await push(registry, undefined, { read: (...args) => {
      reads += 1
      return source.read(...args)
    } })
    expect(bodies(registry, 'PATCH')).toEqual([4 * mebi, 4 * mebi, 2 * mebi + 5])
    expect(registry.requests('PATCH', /./u).map(({ headers }) => headers['content-range'])).toEqual([`0-${4 * mebi - 1}`, `${4 * mebi}-${8 * mebi - 1}`, `${8 * mebi}-${10 * mebi + 4}`])
    expect([has(registry), reads]).toEqual([true, 1])
  })

  it('loses only the piece that broke', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PATCH', path: /./u }, cutAt(2))
    await push(registry)
    expect(bodies(registry, 'PATCH')).toEqual([4 * mebi, 0, 4 * mebi, 2 * mebi + 5])
    expect(has(registry)).toBe(true)
  })

  it('gets through a proxy that takes a mebibyte at a time, also after another blob found that out', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PATCH', path: /./u }, limitBodies(mebi))
    registry.on({ method: 'PUT', path: /uploads/u }, limitBodies(mebi))
    const client = createTestClient()
    const other = randomBytes(3 * mebi)
    await client.pushBlob(parseReference(`${registry.host}/app:1`), { blob, source }, task)
    expect(has(registry)).toBe(true)
    const before = registry.log.length
    await client.pushBlob(parseReference(`${registry.host}/app:1`), { blob: describeBytes(other), source: sourceOf(new Map([[describeBytes(other).digest, other]])) }, task)
    expect(registry.log.slice(before).filter(({ method, bodyBytes }) => method === 'PATCH' && bodyBytes === 0)).toEqual([])
  })

  it('is given up at a proxy that takes nothing', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PATCH', path: /./u }, answer(413))
    expect(await failureOf(push(registry))).toMatchObject({ code: 'REGISTRY_UNEXPECTED_STATUS', status: 413 })
    expect(registry.requests('PATCH', /./u)).toHaveLength(3)
  })

  it.each([
    ['none', answer(405)],
    ['one only', async ({ request, response, proceed }: Parameters<Fault>[0]): Promise<void> => {
      if (request.headers['content-range']?.startsWith('0-') === true) await proceed()
      else await answer(400)({ request, response } as Parameters<Fault>[0])
    }],
  ])('goes in one request to a registry that takes pieces: %s', async (_, fault) => {
    await using registry = await startRegistry()
    registry.on({ method: 'PATCH', path: /./u }, fault)
    const client = createTestClient({ uploadChunkBytes: 4 * mebi })
    await client.pushBlob(parseReference(`${registry.host}/app:1`), { blob, source }, task)
    expect([has(registry), bodies(registry, 'PUT')]).toEqual([true, [bytes.byteLength]])
  })

  it('goes in pieces as big as the registry wants at least', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'POST', path: /./u }, wantPieces(5 * mebi))
    await push(registry, { uploadChunkBytes: 2 * mebi })
    expect(bodies(registry, 'PATCH')).toEqual([5 * mebi, 5 * mebi])
  })
})

describe('an upload that a process left', () => {
  /** Sends two pieces and dies with the third. */
  async function leave(registry: TestRegistry, folder: string): Promise<void> {
    registry.on({ method: 'PATCH', path: /./u, times: 5 }, async ({ request, response, proceed }) => {
      if (request.headers['content-range']?.startsWith(`${8 * mebi}-`) === true) reply(response, { status: 403, headers: { connection: 'close' } })
      else await proceed()
    })
    await failureOf(push(registry, { uploadChunkBytes: 4 * mebi, journal: createUploadJournal(folder) }))
    registry.on({ method: 'PATCH', path: /./u }, ({ proceed }) => proceed())
  }

  /** As if the process that wrote the entries had ended. */
  async function bury(folder: string): Promise<void> {
    for (const name of await readdir(folder)) {
      const text = await readFile(join(folder, name), 'utf8')
      await writeFile(join(folder, name), text.replace(/"startedAt":"\d+"/u, '"startedAt":"1"'))
    }
  }

  it('is gone on with by another, and forgotten when it is done', async () => {
    await using registry = await startRegistry()
    const folder = join(directory, 'left')
    await leave(registry, folder)
    expect((await stat(join(folder, (await readdir(folder))[0] ?? ''))).mode & 0o777).toBe(0o600)
    await bury(folder)
    const before = registry.log.length
    await push(registry, { uploadChunkBytes: 4 * mebi, journal: createUploadJournal(folder) })
    expect(registry.log.slice(before).map(({ method, bodyBytes }) => [method, bodyBytes])).toEqual([['HEAD', 0], ['GET', 0], ['PATCH', 2 * mebi + 5], ['PUT', 0], ['HEAD', 0]])
    expect([has(registry), await readdir(folder)]).toEqual([true, []])
  })

  it('is not touched while its process lives', async () => {
    await using registry = await startRegistry()
    const folder = join(directory, 'alive')
    await leave(registry, folder)
    await push(registry, { uploadChunkBytes: 4 * mebi, journal: createUploadJournal(folder) })
    expect([has(registry), registry.requests('POST', /uploads/u).length]).toEqual([true, 2])
  })

  it.each([
    ['the registry has dropped it', (registry: TestRegistry): void => { registry.uploads.clear() }, (text: string): string => text],
    ['the note is damaged', (): void => undefined, (): string => '{"key":'],
    ['the note says something else', (): void => undefined, (): string => '{"key":1}'],
    ['it was at another address', (): void => undefined, (text: string): string => text.replace(/http:\/\/127\.0\.0\.1:\d+/u, 'http://127.0.0.1:1')],
  ])('begins anew when %s', async (name, change, rewrite) => {
    await using registry = await startRegistry()
    const folder = join(directory, name.replaceAll(' ', '-'))
    await leave(registry, folder)
    await bury(folder)
    change(registry)
    for (const entry of await readdir(folder)) await writeFile(join(folder, entry), rewrite(await readFile(join(folder, entry), 'utf8')))
    await push(registry, { uploadChunkBytes: 4 * mebi, journal: createUploadJournal(folder) })
    expect(has(registry)).toBe(true)
    expect(registry.requests('POST', /uploads/u)).toHaveLength(2)
  })

  it('is no longer noted after a week', async () => {
    const folder = join(directory, 'old')
    await createUploadJournal(folder).keep('one', { location: 'http://r.example/x', offset: 1 })
    for (const name of await readdir(folder)) await utimes(join(folder, name), 1, 1)
    await createUploadJournal(folder).keep('two', { location: 'http://r.example/y', offset: 1 })
    expect(await readdir(folder)).toHaveLength(1)
  })
})
