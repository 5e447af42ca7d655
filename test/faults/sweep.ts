/**
 * npm run faults [-- --operations pull,gc --every 1 --seed 1 --json]
 * Disturbs each operation at its n-th system call of each kind: SIGKILL, no space, I/O error. After each the store must be clean, have what
 * was reported done, do the same again with the same result, and after gc take what one takes that was never disturbed.
 * `--every 10` takes a tenth of all places, from a place that the seed decides.
 */
/* eslint-disable no-console -- a program that reports to whoever started it */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { ChainId } from '../../oci/digest.ts'
import { fsck, gc, openStore } from '../../storage/index.ts'
import { task } from '../support/streams.ts'

const { values } = parseArgs({ options: {
  operations: { type: 'string', default: 'pull,apply,commit,image,gc,fsck' }, every: { type: 'string', default: '1' }, seed: { type: 'string', default: '1' },
  faults: { type: 'string', default: 'kill,nospace,io' }, json: { type: 'boolean', default: false },
} })

/** Calls by what they do; each name of a kind is disturbed on its own. */
const kinds = ['write', 'pwrite64', 'writev', 'pwritev', 'sync_file_range', 'fsync', 'fdatasync', 'syncfs', 'rename', 'renameat', 'mkdir', 'mkdirat', 'openat', 'openat2', 'unlink', 'unlinkat', 'rmdir', 'ftruncate', 'fchown', 'fchmod', 'pread64', 'read', 'newfstatat', 'close'] as const
const faults: Readonly<Record<string, { readonly inject: string; readonly kinds: readonly string[] }>> = {
  kill: { inject: 'signal=SIGKILL', kinds },
  nospace: { inject: 'error=ENOSPC', kinds: ['write', 'pwrite64', 'pwritev', 'fsync', 'fdatasync', 'rename', 'mkdir', 'mkdirat', 'openat', 'openat2', 'ftruncate'] },
  io: { inject: 'error=EIO', kinds: ['write', 'pwrite64', 'pwritev', 'sync_file_range', 'fsync', 'fdatasync', 'syncfs', 'read', 'pread64', 'rename', 'unlinkat'] },
}

interface Trial { readonly operation: string; readonly fault: string; readonly call: string; readonly when: number }
interface Failure extends Trial { readonly problem: string }

const folder = mkdtempSync(join(tmpdir(), 'tsbuild-faults-'))
// One thread of the pool makes the count of calls the same each time.
const env: NodeJS.ProcessEnv = { ...process.env, UV_THREADPOOL_SIZE: '1' }
delete env['NODE_EXTRA_CA_CERTS']
try {
  const failures: Failure[] = []
  let trials = 0
  for (const operation of values.operations.split(',')) {
    const reference = await prepare(operation)
    for (const trial of chooseTrials(operation, countCalls(operation, reference))) {
      trials += 1
      const problem = await attempt(trial, reference)
      if (problem === undefined) continue
      failures.push({ ...trial, problem })
      if (!values.json) console.log(`${operation}: ${trial.fault} at ${trial.call} ${trial.when}: ${problem}`)
    }
    if (!values.json) console.log(`${operation}: ${trials} places so far, ${failures.length} problems`)
  }
  if (values.json) console.log(JSON.stringify({ trials, failures }))
  process.exitCode = failures.length === 0 ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}

interface Reference { readonly template: string; readonly output: string; readonly size: string }

function command(root: string, operation: string): string[] {
  return [process.execPath, join(import.meta.dirname, 'operation.ts'), root, operation]
}

/** A store before the operation, and what it is like after one that nothing disturbed. */
async function prepare(operation: string): Promise<Reference> {
  const template = join(folder, `${operation}-template`)
  await (await openStore(template))[Symbol.asyncDispose]()
  if (['gc', 'fsck', 'repair'].includes(operation)) for (const before of ['pull', 'image']) execFileSync(process.execPath, command(template, before).slice(1), { env })
  const done = copyStore(template, `${operation}-done`)
  const output = execFileSync(process.execPath, command(done, operation).slice(1), { env, encoding: 'utf8' })
  return { template, output, size: await sizeAfterGc(done) }
}

function copyStore(from: string, name: string): string {
  const to = join(folder, name)
  rmSync(to, { recursive: true, force: true })
  // Times of directories are part of layers, and Node's own copying changes them.
  execFileSync('cp', ['-a', from, to])
  return to
}

/** From which to which count one thread makes a call once the store is open: a fault counts the calls of each thread on its own. */
interface Range { readonly first: number; readonly last: number }

function countCalls(operation: string, { template }: Reference): Map<string, Range> {
  const root = copyStore(template, 'counted')
  const log = join(folder, 'calls')
  execFileSync('strace', ['-f', '-qq', '-e', `trace=${kinds.join(',')}`, '-e', 'signal=none', '-o', log, ...command(root, operation)], { env })
  const perThread = new Map<string, number>()
  const ranges = new Map<string, Range>()
  let isOpen = false
  for (const line of readFileSync(log, 'latin1').split('\n')) {
    isOpen ||= line.includes(root)
    const [, pid, call] = /^(\d+) +([a-z0-9]+)\(/u.exec(line) ?? []
    if (pid === undefined || call === undefined) continue
    const count = (perThread.get(`${pid} ${call}`) ?? 0) + 1
    perThread.set(`${pid} ${call}`, count)
    const { first, last } = ranges.get(call) ?? { first: Infinity, last: 0 }
    if (isOpen) ranges.set(call, { first: Math.min(first, count), last: Math.max(last, count) })
  }
  return ranges
}

function chooseTrials(operation: string, ranges: ReadonlyMap<string, Range>): Trial[] {
  const every = Number(values.every)
  const all = values.faults.split(',').flatMap((fault) => (faults[fault]?.kinds ?? []).flatMap((call) => {
    const { first, last } = ranges.get(call) ?? { first: 1, last: 0 }
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => ({ operation, fault, call, when: first + index }))
  }))
  return all.filter((_, index) => index % every === Number(values.seed) % every)
}

async function attempt({ operation, fault, call, when }: Trial, reference: Reference): Promise<string | undefined> {
  const root = copyStore(reference.template, 'trial')
  const inject = `inject=${call}:${faults[fault]?.inject ?? ''}:when=${when}`
  const disturbed = spawnSync('strace', ['-f', '-qq', '-e', `trace=${call}`, '-e', inject, '-e', 'signal=none', '-o', '/dev/null', ...command(root, operation)], { env, encoding: 'utf8', timeout: 60_000 })
  if (disturbed.error !== undefined) return `it hangs: ${disturbed.error.message}`
  return await isClean(root) ?? await hasWhatWasDone(root, disturbed.stdout) ?? await doesItAgain(root, operation, reference)
}

async function isClean(root: string): Promise<string | undefined> {
  await using store = await openStore(root, { mayUseReserve: true })
  const { findings } = await fsck(store, task)
  return findings.length === 0 ? undefined : `fsck finds ${JSON.stringify(findings)}`
}

async function hasWhatWasDone(root: string, output: string): Promise<string | undefined> {
  await using store = await openStore(root)
  const [, kind = '', id = ''] = /^(\S+) (\S+)\n/u.exec(output) ?? []
  const isThere = kind === 'layer' ? store.layers.find(id as ChainId) !== undefined : kind === 'image' ? store.images.find(id) !== undefined : true
  return isThere ? undefined : `${kind} ${id} was reported done and is lost`
}

async function doesItAgain(root: string, operation: string, { output, size }: Reference): Promise<string | undefined> {
  const again = spawnSync(process.execPath, command(root, operation).slice(1), { env, encoding: 'utf8' })
  if (again.status !== 0) return `doing it again fails: ${again.stderr.slice(-300)}`
  if (again.stdout !== output) return `doing it again gives ${again.stdout.trim()} and not ${output.trim()}`
  const after = await sizeAfterGc(root)
  return after === size ? undefined : `after gc it takes ${after} and not ${size}`
}

/** Everything but the database, locks and the reserve. */
async function sizeAfterGc(root: string): Promise<string> {
  const store = await openStore(root)
  await gc(store, task, { dryRun: false })
  await store[Symbol.asyncDispose]()
  const paths = ['content', 'layers', 'snapshots', 'sessions', 'trash', 'mounts', 'quarantine'].map((name) => join(root, name)).filter((path) => existsSync(path))
  const files = paths.flatMap((path) => readdirSync(path, { recursive: true, withFileTypes: true })).filter((entry) => !entry.isDirectory())
  const directories = paths.flatMap((path) => readdirSync(path, { recursive: true, withFileTypes: true })).filter((entry) => entry.isDirectory()).length
  const bytes = files.reduce((sum, entry) => sum + lstatSync(join(entry.parentPath, entry.name)).size, 0)
  return `${files.length} files, ${directories} directories, ${bytes} bytes`
}
