import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createTask } from '../core/task.ts'
import { digestAsDiffId, sha256 } from '../oci/digest.ts'
import type { LowerLayer, Mount } from '../runtime/index.ts'
import { runContainer } from '../runtime/index.ts'
import { compileDefaultProfile } from '../runtime/seccomp/compile.ts'
import { writeIndex } from '../storage/erofs/write-index.ts'
import { benchSpec } from './bench-spec.ts'
import type { Times } from './kernel-probe.ts'
import { BenchFolder, compileProbe, readTimes } from './kernel-probe.ts'
import { linearFilter } from './linear-filter.ts'

/** What containers cost: a row that times calls and the kernel itself instead of whole commands. Needs root and a C compiler. */
export interface RuntimeRow {
  readonly name: string
  /** Lines to print. */
  readonly measure: (runs: number) => Promise<readonly string[]> | readonly string[]
}

export const runtimeRows: readonly RuntimeRow[] = [
  { name: 'container', measure: timeContainers },
  { name: 'seccomp', measure: timeFilters },
  { name: 'namespaces', measure: timeNamespaces },
  { name: 'filesystems', measure: timeFilesystems },
]

/** One run of what takes microseconds would tell little. */
const repeats = 40

/** In a mount namespace of its own, since some runtimes have to be shown less of the host. */
function timeContainers(runs: number): readonly string[] {
  const program = join(import.meta.dirname, 'container-start.ts')
  return execFileSync('unshare', ['--mount', '--propagation', 'private', process.execPath, program, String(runs * repeats)], { encoding: 'utf8' }).trimEnd().split('\n')
}

function timeFilters(runs: number): readonly string[] {
  using folder = new BenchFolder()
  const host = { arch: process.arch, kernel: { major: 6, minor: 12 }, caps: [] }
  const filters: Readonly<Record<string, Uint8Array>> = { search: compileDefaultProfile(host).program, linear: linearFilter(host) }
  const files = Object.entries(filters).map(([name, program]) => {
    writeFileSync(join(folder.path, name), program)
    return `${name}=${join(folder.path, name)}`
  })
  const times = readTimes(execFileSync(compileProbe(folder.path), ['filters', String(runs * repeats), ...files], { encoding: 'utf8' }))
  const search = need(times, 'search')
  const linear = need(times, 'linear')
  return [
    `seccomp        load as a search ${micro(search)}   as a chain ${micro(linear)} (${(linear.median / search.median).toFixed(1)}x)   wanted 55-90 µs`,
  ]
}

function timeNamespaces(runs: number): readonly string[] {
  using folder = new BenchFolder()
  const times = readTimes(execFileSync(compileProbe(folder.path), ['namespaces', String(runs * repeats)], { encoding: 'utf8' }))
  return [`namespaces     process with mount, pid, ipc, uts, net, cgroup ${micro(need(times, 'namespaces'))}   without ${micro(need(times, 'process'))}   wanted at most 700 µs`]
}

/** The rounds of bench/kernel-probe.c, each of which does every operation once. */
const fileRounds = 3

interface MountKind {
  readonly name: string
  /** Shows the container a tree that holds what `folder` does. */
  readonly mount: (folder: string, target: string) => Mount | Promise<Mount>
}

/** What the operations are compared on; the first is what the others' ratios refer to. */
export const mountKinds: readonly MountKind[] = [
  { name: 'plain', mount: (folder, target) => ({ kind: 'bind', source: folder, target, readonly: false }) },
  { name: 'overlay', mount: (folder, target) => overlay({ kind: 'directory', path: folder }, { folder, target }) },
  { name: 'erofs', mount: async (folder, target) => overlay(await indexFolder(folder), { folder, target }) },
]

/** What a folder holds as a tar and an EROFS image beside it. */
async function indexFolder(folder: string): Promise<LowerLayer> {
  const [tar, index] = [`${folder}.tar`, `${folder}.erofs`]
  execFileSync('tar', ['-C', folder, '-cf', tar, '.'])
  await writeIndex({ root: folder, tar, index, diffId: digestAsDiffId(sha256(folder)), makesWhiteouts: false, maxBytes: 2 ** 40, maxSeconds: 60, lowers: [] }, createTask<never>())
  return { kind: 'erofs', path: index, tar, backing: 'file' }
}

/** A layer below an empty upper directory beside `folder`. */
export function overlay(lower: LowerLayer, { folder, target }: { readonly folder: string; readonly target: string }): Mount {
  const upper = { upperdir: `${folder}-upper`, workdir: `${folder}-work` }
  for (const path of Object.values(upper)) mkdirSync(path)
  return { kind: 'layers', rootfs: { kind: 'overlay', lowers: [lower], upper, xattrs: 'trusted' }, path: '', target, readonly: false }
}

async function timeFilesystems(runs: number): Promise<readonly string[]> {
  using folder = new BenchFolder()
  const root = join(folder.path, 'rootfs')
  mkdirSync(root)
  const probe = compileProbe(root)
  const rounds = runs * fileRounds
  const mounts: Mount[] = []
  for (const { name, mount } of mountKinds) {
    const source = join(folder.path, name)
    mkdirSync(source)
    copyFileSync(probe, join(source, 'probe'))
    execFileSync(probe, ['prepare', String(rounds)], { cwd: source })
    mounts.push(await mount(source, `/${name}`))
  }
  spawnSync('sync', ['-f', folder.path])
  const output: Buffer[] = []
  const args = ['/probe', 'files', String(rounds), ...mountKinds.map(({ name }) => `${name}=/${name}`)]
  const spec = { ...benchSpec({ args, rootfs: { kind: 'directory', path: root } }), mounts }
  const task = { signal: new AbortController().signal, emit: (event: { readonly type: string; readonly bytes?: Uint8Array }) => { if (event.bytes !== undefined) output.push(Buffer.from(event.bytes)) } }
  const { exitCode } = await runContainer(spec, { kind: 'events' }, task)
  const text = Buffer.concat(output).toString('utf8')
  if (exitCode !== 0) throw new Error(`the probe ended with ${exitCode}: ${text.slice(-300)}`)
  return describeFilesystems(readTimes(text))
}

function describeFilesystems(times: ReadonlyMap<string, Times>): string[] {
  const [first = '', ...others] = mountKinds.map(({ name }) => name)
  const operations = [...times.keys()].flatMap((label) => label.startsWith(`${first}/`) ? [label.slice(first.length + 1)] : [])
  return [
    `filesystems    microseconds, medians; in brackets how fast beside ${first}`,
    ...operations.map((operation) => {
      const base = need(times, `${first}/${operation}`).median
      const cells = others.map((name) => {
        const { median } = need(times, `${name}/${operation}`)
        return `${name} ${median.toFixed(1)} (${Math.round(100 * base / median)} %)`
      })
      return `  ${operation.padEnd(12)} ${first} ${base.toFixed(1)}   ${cells.join('   ')}`
    }),
  ]
}

function need(times: ReadonlyMap<string, Times>, name: string): Times {
  const found = times.get(name)
  if (found === undefined) throw new Error(`the probe measured no ${name}`)
  return found
}

function micro({ least, median }: Times): string {
  return `${median.toFixed(0)} µs (least ${least.toFixed(0)})`
}
