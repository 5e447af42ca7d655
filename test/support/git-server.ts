/** Repositories served by git itself, on a port of its own. */
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:net'
import { findFreePorts } from './free-ports.ts'

export interface GitServer extends AsyncDisposable {
  /** `git://127.0.0.1:PORT` */
  readonly url: string
}

export async function startGitServer(folder: string): Promise<GitServer> {
  const port = await findFreePorts(1)
  const server = spawn('git', ['daemon', '--reuseaddr', '--listen=127.0.0.1', `--port=${port}`, `--base-path=${folder}`, '--export-all', folder], { stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => { server.on('close', () => { resolve() }) })
  while (!await isOpen(port)) {
    if (server.exitCode !== null) throw new Error(`git daemon ended with ${server.exitCode}`)
    await sleep(20)
  }
  return {
    url: `git://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.kill('SIGTERM')
      await ended
    },
  }
}

/** Makes a repository with one commit on main. @returns the commit */
export function commitFiles(folder: string, files: Readonly<Record<string, string>>, prepare: (folder: string) => void = () => undefined): string {
  const git = (...args: readonly string[]): string => execFileSync('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@t', '-c', 'init.defaultBranch=main', ...args], { encoding: 'utf8', env: { PATH: process.env['PATH'], HOME: folder, GIT_CONFIG_NOSYSTEM: '1' } }).trim()
  mkdirSync(folder, { recursive: true })
  git('init', '--quiet')
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  prepare(folder)
  git('add', '--all')
  git('commit', '--quiet', '--allow-empty', '-m', 'change')
  return git('rev-parse', 'HEAD')
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => { resolve(false) })
  })
}
