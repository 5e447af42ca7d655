import { spawn } from 'node:child_process'
import type { Writable } from 'node:stream'
import { isErrno } from '../core/errors.ts'
import { findProgram } from '../core/find-program.ts'
import { UsageError } from './errors.ts'

/** A program that reads an image archive from its standard input. */
export interface ImageLoader {
  readonly stream: Writable
  /** After the archive: waits for the program. @throws {UsageError} when it refused the archive */
  finish(): Promise<void>
  /** Instead of finish, when the build or the writing failed. @returns the reason to report: the program's, if it refused the archive */
  discard(failure: unknown): Promise<unknown>
}

/** Starts `docker load`, or `podman load` where there is no docker. @throws {UsageError} when there is neither */
export function startLoader(env: NodeJS.ProcessEnv): ImageLoader {
  const program = ['docker', 'podman'].find((name) => findProgram(name, env) !== undefined)
  if (program === undefined) throw new UsageError('--load needs docker or podman, and neither is on the PATH')
  const child = spawn(program, ['load'], { env, stdio: ['pipe', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => { said = `${said}${chunk.toString()}`.slice(-2000) })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  const refusal = (exitCode: number | null): UsageError => new UsageError(`"${program} load" ended with exit code ${exitCode ?? 'none'}: ${said.trim()}`)
  // Told by its exit code when it leaves before the end of the archive.
  child.stdin.on('error', () => undefined)
  return {
    stream: child.stdin,
    finish: async () => {
      child.stdin.end()
      const exitCode = await ended
      if (exitCode !== 0) throw refusal(exitCode)
    },
    discard: async (failure) => {
      child.kill()
      const exitCode = await ended
      return isErrno(failure, 'EPIPE', 'ERR_STREAM_DESTROYED') && exitCode !== null ? refusal(exitCode) : failure
    },
  }
}
