/** The built command as its users run it: a process, with a store of the test's own. */
import type { ChildProcess } from 'node:child_process'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect } from 'vitest'
import { writeBusyboxRootfs } from '../../scripts/busybox-rootfs.ts'
import { expectClean } from './stores.ts'

const command = join(import.meta.dirname, '..', '..', 'bin', 'tsbuild.cjs')

export interface Outcome {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CommandLine {
  readonly folder: string
  readonly root: string
  /** Runs `tsbuild ARGS` to its end. */
  readonly run: (...args: readonly string[]) => Outcome
  /** As `run`, and the test fails unless the exit code is 0. @returns standard output without its last line break */
  readonly must: (...args: readonly string[]) => string
  /** As `run`, in the background. */
  readonly start: (...args: readonly string[]) => ChildProcess
  /** Writes a build context below the folder. @returns its path */
  readonly context: (name: string, files: Readonly<Record<string, string>>) => string
}

/** A store below a folder of this test file's, both deleted afterwards, when fsck must find the store clean. */
export function useCommand(name: string, options: { readonly env?: NodeJS.ProcessEnv; readonly root?: string } = {}): CommandLine {
  if (!existsSync(join(dirname(command), '..', 'dist', 'cli.cjs'))) throw new Error('these tests run dist/: npm run build first')
  const folder = mkdtempSync(join(tmpdir(), `tsbuild-e2e-${name}-`))
  const root = options.root ?? join(folder, 'store')
  const env: NodeJS.ProcessEnv = { ...process.env, TSBUILD_ROOT: root, CONTAINERS_REGISTRIES_CONF: emptyFile(folder), DOCKER_CONFIG: folder, ...options.env }
  delete env['NODE_EXTRA_CA_CERTS']
  afterAll(async () => {
    if (existsSync(root)) await expectClean(root)
    rmSync(folder, { recursive: true, force: true })
  })
  const run = (...args: readonly string[]): Outcome => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], { env, encoding: 'utf8', cwd: folder, maxBuffer: 1 << 28 })
    return { exitCode: status, stdout, stderr }
  }
  return {
    folder,
    root,
    run,
    must: (...args) => {
      const { exitCode, stdout, stderr } = run(...args)
      expect(exitCode, `tsbuild ${args.join(' ')}: ${stderr}`).toBe(0)
      return stdout.trimEnd()
    },
    start: (...args) => spawn(process.execPath, [command, ...args], { env, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] }),
    context: (context, files) => {
      const path = join(folder, context)
      mkdirSync(path, { recursive: true })
      for (const [file, text] of Object.entries(files)) {
        mkdirSync(dirname(join(path, file)), { recursive: true })
        writeFileSync(join(path, file), text)
      }
      return path
    },
  }
}

function emptyFile(folder: string): string {
  const path = join(folder, 'registries.conf')
  writeFileSync(path, '')
  return path
}

const sharedRootfs = join(tmpdir(), 'tsbuild-e2e-busybox.tar')

/** The image `busybox` in the command's store, made of Debian's package. */
export function importBusybox({ must, folder }: CommandLine): void {
  const tar = join(folder, 'busybox.tar')
  if (!existsSync(sharedRootfs)) writeBusyboxRootfs(sharedRootfs)
  cpSync(sharedRootfs, tar)
  must('import', '--change', 'CMD ["sh"]', tar, 'busybox')
}

/** Waits for the end of a command in the background, as `must` does for one that this process stands still for. */
export async function succeed(child: ChildProcess): Promise<void> {
  child.stdout?.resume()
  const errors: Buffer[] = []
  child.stderr?.on('data', (chunk: Buffer) => errors.push(chunk))
  const [exitCode] = await once(child, 'close') as [number | null]
  expect(exitCode, Buffer.concat(errors).toString()).toBe(0)
}

/** Nothing of a store's commands is there any more, and no helper that nobody waits for. */
export async function expectNothingLeft(root: string): Promise<void> {
  expect(leftovers(root)).toEqual([])
  // They may be those of another test at the same time, which end by themselves.
  await expect.poll(orphanedHelpers).toEqual([])
}

/** What a build could leave on the host: mounts and processes that name the store. */
export function leftovers(root: string): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/u.test(name) && Number(name) !== process.pid)
  const mounts = pids.flatMap((pid) => readProc(pid, 'mountinfo').split('\n').filter((line) => line.includes(root)).map((line) => `${pid}: ${line}`))
  const processes = pids.filter((pid) => readProc(pid, 'environ').includes(`TSBUILD_ROOT=${root}\0`)).map(describeProcess)
  return [...mounts, ...processes]
}

export function orphanedHelpers(): string[] {
  return readdirSync('/proc').filter((pid) => readProc(pid, 'cmdline').startsWith('tsbuild-helper') && /^PPid:\t1$/mu.test(readProc(pid, 'status'))).map(describeProcess)
}

function describeProcess(pid: string): string {
  return `process ${pid}: ${readProc(pid, 'cmdline').replaceAll('\0', ' ')}`
}

/** Empty for a process that is gone. */
export function readProc(pid: string, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error) return ''
    throw error
  }
}
