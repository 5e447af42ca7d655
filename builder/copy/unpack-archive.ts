import { createReadStream } from 'node:fs'
import { join, posix } from 'node:path'
import { Readable } from 'node:stream'
import { extract as createExtract } from 'tar-stream'
import type { Task } from '../../core/task.ts'
import { TsbuildError } from '../../core/errors.ts'
import { silent } from '../../core/task.ts'
import type { FileContent, Store } from '../../storage/index.ts'
import { MalformedArchive } from '../archive/errors.ts'
import type { BuildEvent } from '../events.ts'
import { openCompressed, peek } from '../archive/open-compressed.ts'
import type { CopyEntry, CopyRoot } from './place.ts'
import { readRoots } from './read-roots.ts'
import { isTarHeader, tarHeaderBytes } from './tar-header.ts'

const maxUnpackedBytes = 2 ** 40

/** Whether a file is a tar, compressed or not. As in Docker its first header decides, and no name does. */
export async function isArchive(content: FileContent, task: Task<BuildEvent>): Promise<boolean> {
  try {
    const { start, rest } = await peek(await openCompressed(readContent(content), maxUnpackedBytes, silent(task)), tarHeaderBytes)
    await rest[Symbol.asyncIterator]().return?.()
    return isTarHeader(start.subarray(0, tarHeaderBytes))
  } catch (error) {
    task.signal.throwIfAborted()
    // Damaged data is no archive, and copied as it is.
    if (error instanceof TsbuildError) return false
    throw error
  }
}

/**
 * What an archive holds, as a root to copy. It is unpacked into a layer of its own, whose rules for hostile archives hold.
 * Directories that it does not name itself are to leave those at the destination alone.
 * @throws {HostileArchive} @throws {MalformedArchive}
 */
export async function unpackArchive(content: FileContent, store: Store, task: Task<BuildEvent>): Promise<CopyRoot> {
  const named = new Set<string>()
  const bytes = await openCompressed(readContent(content), maxUnpackedBytes, silent(task))
  const layer = await store.layers.apply(undefined, noting(bytes, named), undefined, silent(task))
  const [root] = await readRoots(store.layers.view(layer.chainId), '/')
  if (root === undefined) throw new TypeError('a layer has a root')
  return { ...root, keepsModes: true, entries: root.entries.map((entry) => ({ ...entry, keepsExisting: !named.has(entry.relative.toString('latin1')) || entry.relative.length === 0 } satisfies CopyEntry)) }
}

/** Passes a tar on and notes the directories it names. */
async function* noting(bytes: AsyncIterable<Uint8Array>, named: Set<string>): AsyncGenerator<Uint8Array, void, undefined> {
  const extract = createExtract()
  const read = readDirectories(extract, named)
  try {
    for await (const chunk of bytes) {
      yield chunk
      if (!extract.destroyed && !extract.write(chunk)) await new Promise<void>((resolve) => { for (const event of ['drain', 'close'] as const) extract.once(event, () => { resolve() }) })
    }
    extract.end(undefined)
    await read
  } finally {
    extract.destroy(new Error('the tar ended'))
    await Promise.allSettled([read])
  }
}

async function readDirectories(extract: ReturnType<typeof createExtract>, named: Set<string>): Promise<void> {
  try {
    for await (const entry of extract) {
      if (entry.header.type === 'directory') named.add(Buffer.from(posix.normalize(`/${entry.header.name}`).replace(/\/+$/u, '').slice(1)).toString('latin1'))
      entry.resume()
    }
  } catch (error) {
    throw new MalformedArchive('it is no complete tar', { cause: error })
  }
}

export function readContent(content: FileContent): AsyncIterable<Uint8Array> {
  switch (content.kind) {
    case 'bytes': return Readable.from([content.bytes])
    case 'host': return createReadStream(Buffer.concat([Buffer.from(join(content.root, '/')), content.path]), { highWaterMark: 1024 * 1024 }) as AsyncIterable<Uint8Array>
    case 'range': return content.sizeBytes === 0 ? Readable.from([]) : createReadStream(content.file, { start: content.offset, end: content.offset + content.sizeBytes - 1, highWaterMark: 1024 * 1024 }) as AsyncIterable<Uint8Array>
  }
}
