/**
 * npm run faults:full [-- --operations pull,gc --every 1 --format erofs --json]
 * Each operation on a filesystem that has room for so many blocks, or so many inodes, and no more: from none up to where it succeeds. It must
 * say which of them ran out; after that, with room again, all must hold that holds after any other fault. In a mount namespace of its own.
 */
/* eslint-disable no-console -- a program that reports to whoever started it */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Reference } from './trial-stores.ts'
import { judge, TrialStores } from './trial-stores.ts'

const { values } = parseArgs({ options: {
  operations: { type: 'string', default: 'pull,fetch,apply,run,commit,image,convert,gc,fsck,repair' }, every: { type: 'string', default: '1' }, format: { type: 'string' },
  json: { type: 'boolean', default: false }, inside: { type: 'boolean', default: false },
} })
// The processes that do the work take it from there.
if (values.format !== undefined) process.env['TSBUILD_LAYER_FORMAT'] = values.format

const resources = ['bytes', 'inodes'] as const
type Resource = typeof resources[number]
interface Outcome { readonly succeeded: boolean; readonly problem: string | undefined }

if (values.inside) await run()
else process.exitCode = spawnSync('unshare', ['-m', '--propagation', 'private', process.execPath, import.meta.filename, ...process.argv.slice(2), '--inside'], { stdio: 'inherit' }).status ?? 1

async function run(): Promise<void> {
  using stores = await TrialStores.create()
  const disk = join(stores.folder, 'disk')
  mkdirSync(disk)
  const failures: { readonly operation: string; readonly resource: Resource; readonly room: number; readonly problem: string }[] = []
  let trials = 0
  for (const operation of values.operations.split(',')) {
    const reference = await stores.prepare(operation)
    for (const resource of resources) {
      for (let room = 0, succeeded = false; !succeeded; room += Number(values.every)) {
        trials += 1
        const outcome = await attempt(stores, disk, { reference, resource, room })
        succeeded = outcome.succeeded
        if (outcome.problem !== undefined) failures.push({ operation, resource, room, problem: outcome.problem })
      }
      if (!values.json) console.log(`${operation}, ${resource}: ${trials} trials so far, ${failures.length} problems`)
    }
  }
  console.log(values.json ? JSON.stringify({ trials, failures }) : failures.map((failure) => JSON.stringify(failure)).join('\n'))
  process.exitCode = failures.length === 0 ? 0 : 1
}

async function attempt(stores: TrialStores, disk: string, { reference, resource, room }: { readonly reference: Reference; readonly resource: Resource; readonly room: number }): Promise<Outcome> {
  const options = (bytes: number, inodes: number): string => `size=${bytes},nr_inodes=${inodes}`
  const [ampleBytes, ampleInodes] = [1 << 28, 100_000]
  execFileSync('mount', ['-t', 'tmpfs', '-o', options(ampleBytes, ampleInodes), 'tmpfs', disk])
  try {
    const root = join(disk, 'store')
    execFileSync('cp', ['-a', reference.template, root])
    const { blocks, bfree, bsize, files, ffree } = statfsSync(disk)
    const tight = resource === 'bytes' ? options((blocks - bfree + room) * bsize, ampleInodes) : options(ampleBytes, files - ffree + room)
    execFileSync('mount', ['-o', `remount,${tight}`, disk])
    const [file = '', ...args] = stores.command(root, reference.operation)
    const { status, stdout, stderr } = spawnSync(file, args, { env: stores.env, encoding: 'utf8', timeout: 60_000 })
    execFileSync('mount', ['-o', `remount,${options(ampleBytes, ampleInodes)}`, disk])
    const isExplained = (stderr.includes("code: 'STORAGE_FULL'") && stderr.includes(`resource: '${resource}'`)) || stderr.includes("code: 'STEP_FAILED'")
    const problem = status === 0 || isExplained ? undefined : `it ends with ${status ?? 'a signal'} and says ${stderr.slice(-400)}`
    return { succeeded: status === 0, problem: problem ?? await judge(root, stdout, reference) }
  } finally {
    // What failed may still hold files there, as loop devices do for a moment, and is to be told.
    execFileSync('umount', ['--lazy', disk])
  }
}
