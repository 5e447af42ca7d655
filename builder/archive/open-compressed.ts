import { spawn } from 'node:child_process'
import type { Task } from '../../core/task.ts'
import { decompress } from '../../storage/index.ts'
import { MalformedArchive } from './errors.ts'

/** Compressions that Node does not know have their own programs, as everywhere else. */
const programs = [
  { name: 'xz', package: 'xz-utils', magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]), args: ['-dc', '--memlimit-decompress=1GiB'] },
  { name: 'bzip2', package: 'bzip2', magic: Buffer.from('BZh'), args: ['-dc'] },
] as const

type Program = (typeof programs)[number]
const magicBytes = 6

/**
 * What a stream holds when its compression is undone, whichever it is: none, gzip, zstd, xz or bzip2.
 * @throws {MalformedArchive} @throws {MalformedCompression} @throws {StreamTooLarge} while it is read
 */
export async function openCompressed(bytes: AsyncIterable<Uint8Array>, maxBytes: number, task: Task): Promise<AsyncIterable<Uint8Array>> {
  const { start, rest } = await peek(bytes, magicBytes)
  const program = programs.find(({ magic }) => start.subarray(0, magic.length).equals(magic))
  const plain = program === undefined ? rest : pipeThrough(program, rest, task)
  // What a program gives is no compressed stream again: archives within archives are the user's own business.
  return program === undefined ? (await decompress(plain, maxBytes)).bytes : plain
}

/** The first bytes of a stream, and the stream from its beginning. */
export async function peek(bytes: AsyncIterable<Uint8Array>, length: number): Promise<{ readonly start: Buffer; readonly rest: AsyncIterable<Uint8Array> }> {
  const chunks = bytes[Symbol.asyncIterator]()
  const read: Uint8Array[] = []
  for (let size = 0; size < length;) {
    const next = await chunks.next()
    if (next.done === true) break
    read.push(next.value)
    size += next.value.byteLength
  }
  const start = Buffer.concat(read)
  return { start, rest: resume(start, chunks) }
}

async function* resume(start: Buffer, chunks: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    if (start.length > 0) yield start
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value
  } finally {
    await chunks.return?.()
  }
}

async function* pipeThrough(program: Program, bytes: AsyncIterable<Uint8Array>, task: Task): AsyncGenerator<Uint8Array, void, undefined> {
  const child = spawn(program.name, program.args, { stdio: ['pipe', 'pipe', 'pipe'], cwd: '/', env: { PATH: process.env['PATH'], LC_ALL: 'C' }, signal: task.signal })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => { said = `${said}${chunk.toString()}`.slice(0, 500) })
  // It may end before it has read everything; what it said and its exit code tell why.
  child.stdin.on('error', () => undefined)
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  const fed = feed(bytes, child.stdin)
  const settled = Promise.allSettled([ended, fed])
  try {
    for await (const chunk of child.stdout) yield chunk as Uint8Array
    const [end, fedEnd] = await settled
    task.signal.throwIfAborted()
    if (end.status === 'rejected') throw new MalformedArchive(`it is compressed with ${program.name}, which is not installed; install ${program.package}`, { cause: end.reason })
    if (fedEnd.status === 'rejected') throw fedEnd.reason
    if (end.value !== 0) throw new MalformedArchive(`${program.name} cannot read it: ${said.trim()}`)
  } finally {
    child.kill('SIGKILL')
    await settled
  }
}

async function feed(bytes: AsyncIterable<Uint8Array>, input: NodeJS.WritableStream & { destroyed?: boolean }): Promise<void> {
  try {
    for await (const chunk of bytes) {
      if (input.destroyed === true) return
      if (!input.write(chunk)) await new Promise<void>((resolve) => { for (const event of ['drain', 'close', 'error']) input.once(event, () => { resolve() }) })
    }
  } finally {
    input.end()
  }
}
