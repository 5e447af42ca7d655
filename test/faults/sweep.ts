/**
 * npm run faults [-- --operations pull,gc --every 1 --seed 1 --format erofs --json]
 * Disturbs each operation at its n-th system call of each kind: SIGKILL, no space, I/O error. After each the store must be clean, have what
 * was reported done, do the same again with the same result, and after gc take what one takes that was never disturbed.
 * `--every 10` takes a tenth of all places, from a place that the seed decides. With TMPDIR on a tmpfs it takes half as long.
 */
/* eslint-disable no-console -- a program that reports to whoever started it */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Reference } from './trial-stores.ts'
import { judge, TrialStores } from './trial-stores.ts'

const { values } = parseArgs({ options: {
  operations: { type: 'string', default: 'pull,fetch,apply,run,commit,image,convert,gc,fsck,repair' }, every: { type: 'string', default: '1' }, seed: { type: 'string', default: '1' },
  faults: { type: 'string', default: 'kill,nospace,io' }, format: { type: 'string' }, json: { type: 'boolean', default: false },
} })
// The processes that do the work take it from there.
if (values.format !== undefined) process.env['TSBUILD_LAYER_FORMAT'] = values.format

/** Calls that change something: between two of them dying leaves the same. Each name is disturbed on its own. */
const changing = [
  'write', 'pwrite64', 'writev', 'pwritev', 'sync_file_range', 'fsync', 'fdatasync', 'syncfs', 'rename', 'renameat', 'renameat2', 'mkdir', 'mkdirat', 'openat', 'openat2', 'unlink', 'unlinkat', 'rmdir', 'ftruncate', 'fchown', 'fchownat',
  'fchmod', 'fchmodat', 'chmod', 'utimensat', 'fsetxattr', 'lsetxattr', 'setxattr', 'link', 'linkat', 'symlink', 'symlinkat', 'mknodat', 'flock', 'fcntl', 'mount', 'fsconfig', 'fsmount', 'move_mount', 'pivot_root', 'umount2', 'clone', 'clone3', 'execve', 'exit_group',
] as const
const reading = ['read', 'pread64', 'getdents64', 'newfstatat'] as const
const faults: Readonly<Record<string, { readonly inject: string; readonly calls: readonly string[] }>> = {
  kill: { inject: 'signal=SIGKILL', calls: changing },
  nospace: { inject: 'error=ENOSPC', calls: ['write', 'pwrite64', 'pwritev', 'fsync', 'fdatasync', 'rename', 'mkdir', 'mkdirat', 'openat', 'openat2', 'ftruncate', 'linkat', 'symlinkat', 'fsetxattr'] },
  io: { inject: 'error=EIO', calls: ['write', 'pwrite64', 'pwritev', 'sync_file_range', 'fsync', 'fdatasync', 'syncfs', 'read', 'pread64', 'getdents64', 'rename', 'unlinkat'] },
}

interface Trial { readonly fault: string; readonly call: string; readonly when: number }

using stores = await TrialStores.create()
const failures: (Trial & { readonly operation: string; readonly problem: string })[] = []
let trials = 0
for (const operation of values.operations.split(',')) {
  const reference = await stores.prepare(operation)
  for (const trial of chooseTrials(countCalls(reference))) {
    trials += 1
    const problem = await attempt(trial, reference)
    if (problem === undefined) continue
    failures.push({ operation, ...trial, problem })
    if (!values.json) console.log(`${operation}: ${trial.fault} at ${trial.call} ${trial.when}: ${problem}`)
  }
  if (!values.json) console.log(`${operation}: ${trials} places so far, ${failures.length} problems`)
}
if (values.json) console.log(JSON.stringify({ trials, failures }))
process.exitCode = failures.length === 0 ? 0 : 1

/** At which counts a thread makes a call that matters, once the store is open: a fault counts the calls of each thread on its own. */
function countCalls({ operation, template }: Reference): Map<string, Set<number>> {
  const root = stores.copy(template, 'counted')
  const log = join(stores.folder, 'calls')
  execFileSync('strace', ['-f', '-qq', '-e', `trace=${[...changing, ...reading].join(',')}`, '-e', 'signal=none', '-o', log, ...stores.command(root, operation)], { env: stores.env })
  const perThread = new Map<string, number>()
  const places = new Map<string, Set<number>>()
  let isOpen = false
  for (const line of readFileSync(log, 'latin1').split('\n')) {
    isOpen ||= line.includes(root)
    const [, pid, call] = /^(\d+) +([a-z0-9_]+)\(/u.exec(line) ?? []
    if (pid === undefined || call === undefined) continue
    const count = (perThread.get(`${pid} ${call}`) ?? 0) + 1
    perThread.set(`${pid} ${call}`, count)
    const isOpening = call.startsWith('openat')
    if (isOpen && (!isOpening || line.includes('O_CREAT'))) places.set(call, (places.get(call) ?? new Set()).add(count))
  }
  return places
}

function chooseTrials(places: ReadonlyMap<string, ReadonlySet<number>>): Trial[] {
  const every = Number(values.every)
  const all = values.faults.split(',').flatMap((fault) => (faults[fault]?.calls ?? []).flatMap((call) =>
    [...places.get(call) ?? []].sort((one, other) => one - other).map((when) => ({ fault, call, when }))))
  return all.filter((_, index) => index % every === Number(values.seed) % every)
}

async function attempt({ fault, call, when }: Trial, reference: Reference): Promise<string | undefined> {
  const root = stores.copy(reference.template, 'trial')
  const inject = `inject=${call}:${faults[fault]?.inject ?? ''}:when=${when}`
  const disturbed = spawnSync('strace', ['-f', '-qq', '-e', `trace=${call}`, '-e', inject, '-e', 'signal=none', '-o', '/dev/null', ...stores.command(root, reference.operation)], { env: stores.env, encoding: 'utf8', timeout: 60_000 })
  if (disturbed.error !== undefined) return `it hangs: ${disturbed.error.message}`
  return judge(root, disturbed.stdout, reference)
}
