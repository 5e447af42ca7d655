import { createWriteStream, existsSync, readdirSync, statSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Pack } from 'tar-stream'
import { pack as createPack } from 'tar-stream'
import { isErrno } from '../../core/errors.ts'
import { OutputConflict } from '../errors.ts'
import { explainPlace, openOutputFile } from '../output/output-file.ts'

/** Files of an archive, in whatever shape it has. */
export interface ArchiveSink {
  put(name: string, sizeBytes: number, bytes: AsyncIterable<Uint8Array>): Promise<void>
  /** After the last file; nothing is at its final place before. */
  finish(): Promise<void>
  /** Instead of finish: leaves nothing behind. */
  discard(): Promise<void>
}

/** Archives must not differ by when they were written. */
const fixedTime = new Date(0)

/** A tar on a stream the caller owns, standard output for example. */
export function createStreamSink(output: Writable): ArchiveSink {
  return createTarSink((chunk) => writeChunk(output, chunk))
}

/** To a stream the caller owns. */
export async function writeStream(output: Writable, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of bytes) await writeChunk(output, chunk)
}

/** Settles when the stream has taken the chunk, or will never take it. */
function writeChunk(output: Writable, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    output.write(chunk, (error) => {
      if (error) reject(error)
      else resolve()
    })
  })
}

/** A tar file, complete or not there. @throws {OutputConflict} */
export async function createFileSink(path: string): Promise<ArchiveSink> {
  const file = await openOutputFile(path, 0o644)
  const sink = createTarSink((chunk) => file.write(chunk))
  return {
    put: (name, sizeBytes, bytes) => sink.put(name, sizeBytes, bytes),
    finish: async () => {
      await sink.finish()
      await file.finish()
    },
    discard: async () => {
      await sink.discard()
      await file.discard()
    },
  }
}

function createTarSink(write: (chunk: Uint8Array) => Promise<void>): ArchiveSink {
  const tar = createPack()
  const writing = drain(tar as AsyncIterable<Uint8Array>, write)
  writing.catch(() => undefined)
  return {
    put: async (name, sizeBytes, bytes) => {
      try {
        await Promise.race([addEntry(tar, { name, sizeBytes }, bytes), writing])
      } catch (error) {
        throw await causeOf(error, writing)
      }
    },
    finish: () => {
      tar.finalize()
      return writing
    },
    discard: async () => {
      tar.destroy()
      await Promise.allSettled([writing])
    },
  }
}

/** When what takes the tar fails, the entry being added fails too, without knowing why. */
async function causeOf(error: unknown, writing: Promise<void>): Promise<unknown> {
  const failed = writing.then(() => error, (reason: unknown) => reason)
  return Promise.race([failed, new Promise<unknown>((resolve) => { setImmediate(resolve, error) })])
}

async function drain(chunks: AsyncIterable<Uint8Array>, write: (chunk: Uint8Array) => Promise<void>): Promise<void> {
  for await (const chunk of chunks) await write(chunk)
}

/** A folder, which must not be there yet, or be empty. @throws {OutputConflict} */
export async function createFolderSink(path: string): Promise<ArchiveSink> {
  if (existsSync(path) && !isEmptyFolder(path)) throw taken(path)
  const temporary = `${path}.${process.pid}.tmp`
  await mkdir(temporary).catch((error: unknown) => { throw explainPlace(path, error) })
  return {
    put: async (name, _, bytes) => {
      await mkdir(join(temporary, dirname(name)), { recursive: true })
      await pipeline(Readable.from(bytes), createWriteStream(join(temporary, name), { flags: 'wx' }))
    },
    finish: () => rename(temporary, path).catch((error: unknown) => { throw isErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR') ? taken(path) : error }),
    discard: () => rm(temporary, { recursive: true, force: true }),
  }
}

function isEmptyFolder(path: string): boolean {
  return statSync(path).isDirectory() && readdirSync(path).length === 0
}

function taken(path: string): OutputConflict {
  return new OutputConflict(path, 'it is there already, and a whole folder is to be written; remove it, or name another place')
}

async function addEntry(tar: Pack, { name, sizeBytes }: { name: string; sizeBytes: number }, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const entry = tar.entry({ name, size: sizeBytes, mode: 0o644, mtime: fixedTime, uid: 0, gid: 0 }, (error) => {
      if (error) reject(error)
      else resolve()
    })
    pipeline(Readable.from(bytes), entry).catch(reject)
  })
}
