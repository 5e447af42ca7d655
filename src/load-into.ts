import { spawn, spawnSync } from 'node:child_process'
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

/** Starts `docker load`, or `podman load` where docker is not there or has no daemon. @throws {UsageError} when there is neither program */
export function startLoader(env: NodeJS.ProcessEnv): ImageLoader {
  const program = findLoader(env)
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

/** Of docker alone the daemon is not asked after: it says itself what is wrong. */
function findLoader(env: NodeJS.ProcessEnv): string {
  const [first, second] = ['docker', 'podman'].filter((name) => findProgram(name, env) !== undefined)
  if (first === undefined) throw new UsageError('--load needs docker or podman, and neither is on the PATH')
  return second === undefined || spawnSync(first, ['version'], { env, stdio: 'ignore' }).status === 0 ? first : second
}
