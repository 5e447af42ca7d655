import { spawnSync } from 'node:child_process'
import { UsageError } from './errors.ts'

/**
 * The time images get, in seconds since 1970: what the option says, else a build argument, else the environment. `git` is
 * the time of the last commit of the repository the context lies in.
 * @throws {UsageError}
 * @see https://reproducible-builds.org/specs/source-date-epoch/
 */
export function findSourceDate(sources: readonly (string | undefined)[], context: string): number | undefined {
  const text = sources.find((source) => source !== undefined && source !== '')
  if (text === undefined) return undefined
  const seconds = text === 'git' ? lastCommit(context) : text
  if (!/^\d{1,11}$/u.test(seconds)) throw new UsageError(`SOURCE_DATE_EPOCH is seconds since 1970, or git, not "${seconds}"`)
  return Number(seconds)
}

function lastCommit(context: string): string {
  const { status, stdout, stderr, error } = spawnSync('git', ['-C', context, 'log', '-1', '--format=%ct'], { encoding: 'utf8' })
  if (error !== undefined) throw new UsageError(`SOURCE_DATE_EPOCH=git needs the program git: ${error.message}`)
  if (status !== 0) throw new UsageError(`SOURCE_DATE_EPOCH=git needs a git repository with a commit at "${context}": ${stderr.trim()}`)
  return stdout.trim()
}
