import { createHash } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { isObject } from '../../oci/json.ts'

/** An upload a registry has begun for us: where it goes on, and what has arrived. */
export interface SavedUpload {
  readonly location: string
  readonly offset: number
}

/** Uploads that were begun and not ended, so that another process can go on with them when this one dies. */
export interface UploadJournal {
  /** What a process that is gone left of the upload with this key. */
  find(key: string): Promise<SavedUpload | undefined>
  keep(key: string, upload: SavedUpload): Promise<void>
  forget(key: string): Promise<void>
}

/** Nothing is remembered. */
export const noJournal: UploadJournal = { find: () => Promise.resolve(undefined), keep: () => Promise.resolve(), forget: () => Promise.resolve() }

/** No registry keeps an upload that nobody goes on with for longer. */
const maxAgeMs = 7 * 86_400_000

/** A journal in a folder, a file for each upload, readable by its owner only: locations can hold what the registry knows us by. */
export function createUploadJournal(folder: string): UploadJournal {
  let isSwept = false
  const pathOf = (key: string): string => join(folder, createHash('sha256').update(key).digest('hex').slice(0, 32))
  return {
    find: async (key) => {
      const entry = await readEntry(pathOf(key))
      return entry === undefined || entry.key !== key || await isRunning(entry.owner) ? undefined : entry.upload
    },
    keep: async (key, upload) => {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      if (!isSwept) await sweep(folder)
      isSwept = true
      await replace(pathOf(key), JSON.stringify({ key, upload, owner: { pid: process.pid, startedAt: await startOf(process.pid) } }))
    },
    forget: (key) => rm(pathOf(key), { force: true }),
  }
}

interface Owner { readonly pid: number; readonly startedAt: string | undefined }
interface Entry { readonly key: string; readonly upload: SavedUpload; readonly owner: Owner }

/** What cannot be read is as good as not there: the upload begins anew. */
async function readEntry(path: string): Promise<Entry | undefined> {
  try {
    return parseEntry(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    if (isErrno(error, 'ENOENT') || error instanceof SyntaxError) return undefined
    throw error
  }
}

function parseEntry(value: unknown): Entry | undefined {
  if (!isObject(value)) return undefined
  const { key, upload, owner } = value
  if (typeof key !== 'string' || !isObject(upload) || !isObject(owner)) return undefined
  const { location, offset } = upload
  const { pid, startedAt } = owner
  if (typeof location !== 'string' || typeof offset !== 'number' || typeof pid !== 'number') return undefined
  return { key, upload: { location, offset }, owner: { pid, startedAt: typeof startedAt === 'string' ? startedAt : undefined } }
}

/** A process id is given out again; together with its start it is one process. */
async function isRunning({ pid, startedAt }: Owner): Promise<boolean> {
  return startedAt !== undefined && await startOf(pid) === startedAt
}

/** @see proc_pid_stat(5), field 22, after the name, which may hold anything */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19]
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return undefined
    throw error
  }
}

async function replace(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}`
  const file = await open(temporary, 'w', 0o600)
  try {
    await file.writeFile(text)
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}

async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    try {
      if (Date.now() - (await stat(path)).mtimeMs > maxAgeMs) await rm(path, { force: true })
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error
    }
  }
}
