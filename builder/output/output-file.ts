import { accessSync, constants, existsSync, realpathSync, statSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { makeFolder } from '../../core/make-folder.ts'
import { OutputConflict } from '../errors.ts'

/** A file that somebody asked for, complete or not there: what is at its path stays until `finish`. */
export interface OutputFile {
  write(chunk: Uint8Array): Promise<void>
  finish(): Promise<void>
  /** Instead of finish: leaves nothing behind. */
  discard(): Promise<void>
}

/** @throws {OutputConflict} when no file can be made there */
export async function openOutputFile(path: string, mode: number): Promise<OutputFile> {
  const target = findTarget(path)
  const temporary = join(dirname(target), `.${basename(target)}.${process.pid}.tmp`)
  const file = await open(temporary, 'wx', mode).catch((error: unknown) => { throw explainPlace(path, error) })
  return {
    write: (chunk) => file.writeFile(chunk),
    finish: async () => {
      await file.sync()
      await file.close()
      await rename(temporary, target)
    },
    discard: async () => {
      await file.close()
      await rm(temporary, { force: true })
    },
  }
}

/** @throws {OutputConflict} */
export async function writeOutputFile(path: string, mode: number, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await openOutputFile(path, mode)
  try {
    for await (const chunk of bytes) await file.write(chunk)
  } catch (error) {
    await file.discard()
    throw error
  }
  await file.finish()
}

/** Makes a folder that somebody asked for, with those above it. @returns whether it was not there before @throws {OutputConflict} */
export function makeOutputFolder(path: string): boolean {
  try {
    return makeFolder(path)
  } catch (error) {
    throw isErrno(error, 'EEXIST') ? new OutputConflict(path, 'it is no folder, and one is to be written') : explainPlace(path, error)
  }
}

/** Whether that could be done, without doing it. @throws {OutputConflict} */
export function checkOutputFile(path: string): void {
  checkPlace(findTarget(path))
}

/** Whether something can be made at a path. @throws {OutputConflict} */
export function checkPlace(path: string): void {
  try {
    accessSync(dirname(resolve(path)), constants.W_OK)
  } catch (error) {
    throw explainPlace(path, error)
  }
}

/** Behind links: nobody wants /dev/stdout to become a file, or any other device. */
function findTarget(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return path
  if (!found.isFile()) throw new OutputConflict(path, found.isDirectory() ? 'it is a folder; name a file in it' : 'it is neither file nor folder; name another place, or redirect standard output there')
  return realpathSync(path)
}

/** @returns an OutputConflict where it was the place, and not the program, that failed to make or open what was asked for there */
export function explainPlace(path: string, error: unknown): unknown {
  const problem = findProblem(dirname(resolve(path)), error)
  return problem === undefined ? error : new OutputConflict(path, problem, { cause: error })
}

function findProblem(folder: string, error: unknown): string | undefined {
  if (isErrno(error, 'ENOENT')) return existsSync(folder) ? `"${folder}" takes nothing new; name another place` : `the folder "${folder}" does not exist; make it first`
  if (isErrno(error, 'ENOTDIR')) return `"${folder}" is no folder; name another place`
  if (isErrno(error, 'EACCES', 'EPERM')) return `this user may not write to "${folder}"; name another place`
  return isErrno(error, 'EROFS') ? `"${folder}" is on a filesystem that is mounted read-only; name another place` : undefined
}
