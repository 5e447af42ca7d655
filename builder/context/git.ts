import { spawn } from 'node:child_process'
import { lstatSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import type { Task } from '../../core/task.ts'
import { GitFailed } from './errors.ts'

export interface CheckoutRequest {
  readonly remote: string
  /** A whole commit. */
  readonly commit: string
  /** What names the commit, for servers that give out names only. */
  readonly ref: string | undefined
  readonly subdirectory: string
  readonly keepsGitDirectory: boolean
  readonly hasSubmodules: boolean
}

export interface Checkout extends Disposable {
  /** The subdirectory of the working tree, or all of it. */
  readonly path: string
}

const wholeCommit = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/u
/** git runs with nothing of the user's or the system's settings, no hooks, no filters, and these ways to a server only. */
const protocols = 'http:https:git:ssh'
const settings = ['core.hooksPath=/dev/null', 'core.fsmonitor=false', 'core.attributesFile=/dev/null', 'protocol.allow=never', ...protocols.split(':').map((name) => `protocol.${name}.allow=always`), 'advice.detachedHead=false', 'init.defaultBranch=main', 'gc.auto=0', 'submodule.recurse=false']
const maxSaidBytes = 4000

/** The commit that a branch, tag or HEAD of a remote is now. @throws {GitFailed} */
export async function resolveCommit({ remote, ref }: { readonly remote: string; readonly ref: string | undefined }, task: Task): Promise<string> {
  if (ref !== undefined && wholeCommit.test(ref)) return ref
  const listed = await git(['ls-remote', '--', remote, ...ref === undefined ? ['HEAD'] : [ref, `${ref}^{}`]], { remote, folder: '/' }, task)
  const found = new Map(listed.split('\n').map((line): [string, string] => [line.slice(line.indexOf('\t') + 1), line.slice(0, Math.max(line.indexOf('\t'), 0))]))
  const names = ref === undefined ? ['HEAD'] : [`refs/heads/${ref}`, `refs/tags/${ref}^{}`, `refs/tags/${ref}`, `${ref}^{}`, ref]
  const commit = names.map((name) => found.get(name)).find((each) => each !== undefined)
  if (commit === undefined || !wholeCommit.test(commit)) throw new GitFailed(remote, ref === undefined ? 'it has no HEAD' : `it has no branch, tag or commit "${ref}"`)
  return commit
}

/**
 * Checks a commit out into a folder of its own. Nothing the repository says is executed.
 * @throws {GitFailed}
 */
export async function checkOut(request: CheckoutRequest, task: Task): Promise<Checkout> {
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-git-'))
  const remove = (): void => { rmSync(folder, { recursive: true, force: true }) }
  try {
    const { remote, commit, ref } = request
    const run = (...args: readonly string[]): Promise<string> => git(args, { remote, folder }, task)
    await run('init', '--quiet', '--template=')
    await run('remote', 'add', 'origin', remote)
    await fetchCommit(run, { commit, ref })
    await run('-c', 'core.symlinks=true', 'checkout', '--quiet', '--force', '--detach', commit, '--')
    if (request.hasSubmodules && lstatSync(join(folder, '.gitmodules'), { throwIfNoEntry: false })?.isFile() === true) {
      await run('submodule', '--quiet', 'update', '--init', '--recursive', '--depth=1', '--checkout')
    }
    if (!request.keepsGitDirectory) rmSync(join(folder, '.git'), { recursive: true, force: true })
    return { path: findSubdirectory(folder, request), [Symbol.dispose]: remove }
  } catch (error) {
    remove()
    throw error
  }
}

/** A server may refuse to give out a commit by its id; then the name it was found under leads there. */
async function fetchCommit(run: (...args: readonly string[]) => Promise<string>, { commit, ref }: { readonly commit: string; readonly ref: string | undefined }): Promise<void> {
  const get = (...what: readonly string[]): Promise<string> => run('fetch', '--quiet', '--no-tags', '--no-recurse-submodules', ...what)
  try {
    await get('--depth=1', 'origin', commit)
  } catch (error) {
    if (!(error instanceof GitFailed)) throw error
    await get('origin', ref === undefined || wholeCommit.test(ref) ? '+refs/*:refs/remotes/origin/*' : ref)
  }
}

/** Every component must be a directory itself: a link of the repository's could lead anywhere. */
function findSubdirectory(folder: string, { remote, subdirectory }: CheckoutRequest): string {
  let path = folder
  for (const part of subdirectory.split('/').filter((each) => each !== '')) {
    path = join(path, part)
    if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) throw new GitFailed(remote, `it has no directory "${subdirectory}"`)
  }
  return path
}

interface GitPlace { readonly remote: string; readonly folder: string }

async function git(args: readonly string[], { remote, folder }: GitPlace, task: Task): Promise<string> {
  task.signal.throwIfAborted()
  const env = process.env
  const child = spawn('git', [...settings.flatMap((setting) => ['-c', setting]), ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: task.signal,
    env: {
      PATH: env['PATH'], HOME: folder, LC_ALL: 'C', GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', GIT_TERMINAL_PROMPT: '0', GIT_ASKPASS: '/bin/false',
      GIT_ALLOW_PROTOCOL: protocols, GIT_PROTOCOL_FROM_USER: '0', GIT_LFS_SKIP_SMUDGE: '1', GIT_CEILING_DIRECTORIES: '/', SSH_AUTH_SOCK: env['SSH_AUTH_SOCK'],
      GIT_SSH_COMMAND: 'ssh -o BatchMode=yes', HTTP_PROXY: env['HTTP_PROXY'], HTTPS_PROXY: env['HTTPS_PROXY'], NO_PROXY: env['NO_PROXY'],
      http_proxy: env['http_proxy'], https_proxy: env['https_proxy'], no_proxy: env['no_proxy'], SSL_CERT_FILE: env['SSL_CERT_FILE'],
    },
  })
  const said: Buffer[] = []
  let problem = ''
  child.stdout.on('data', (chunk: Buffer) => said.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => { problem = `${problem}${chunk.toString()}`.slice(-maxSaidBytes) })
  try {
    const exitCode = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', resolve)
    })
    if (exitCode === 0) return Buffer.concat(said).toString()
  } catch (error) {
    task.signal.throwIfAborted()
    if (isErrno(error, 'ENOENT')) throw new GitFailed(remote, 'git is not installed; install the package git', { cause: error })
    throw error
  }
  task.signal.throwIfAborted()
  throw new GitFailed(remote, lastLines(problem))
}

/** What git says may name the remote with its password. */
function lastLines(text: string): string {
  const lines = text.replace(/\/\/[^/@\s]*@/gu, '//').split('\n').map((line) => line.trim()).filter((line) => line !== '')
  return lines.slice(-3).join('; ')
}
