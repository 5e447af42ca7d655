/**
 * unshare --mount node bench/container-start.ts COUNT
 * One container that runs a program which ends at once, from Node: by our helper with an overlay and by the OCI runtimes that are there with
 * the same description and a plain folder for a root, in turn. Prints medians and ratios.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findSystemProgram } from '../core/find-program.ts'
import { getAddon } from '../native/index.ts'
import { probeHost, runContainer } from '../runtime/index.ts'
import { ociConfig } from '../runtime/oci/oci-config.ts'
import { benchSpec } from './bench-spec.ts'
import { BenchFolder, compileProbe, summarize } from './kernel-probe.ts'

const count = Number(process.argv[2] ?? '100')
/** The others take turns only as often as it takes to compare. */
const peerEvery = 10

type Way = () => Promise<void>

function ownWay(root: string, folder: string): Way {
  const upper = { upperdir: join(folder, 'upper'), workdir: join(folder, 'work') }
  const paths = [upper.upperdir, upper.workdir]
  for (const path of paths) mkdirSync(path)
  const task = { signal: new AbortController().signal, emit: () => undefined }
  return async () => {
    const spec = benchSpec({ args: ['/true', 'exit'], rootfs: { kind: 'overlay', lowers: [{ kind: 'directory', path: root }], upper, xattrs: 'trusted' } })
    const { exitCode } = await runContainer(spec, { kind: 'events' }, task)
    if (exitCode !== 0) throw new Error(`our container ended with ${exitCode}`)
  }
}

/** `true` in a container of a runtime, which is started like our helper. */
function peerWay(name: string, { root, folder }: { readonly root: string; readonly folder: string }): Way | undefined {
  const program = findSystemProgram(name, process.env)
  if (program === undefined) return undefined
  const bundle = join(folder, name)
  mkdirSync(bundle)
  const spec = benchSpec({ args: ['/true', 'exit'], rootfs: { kind: 'directory', path: root } })
  const config = { ...ociConfig({ spec, host: probeHost(), filePath: () => '' }), root: { path: root, readonly: false } }
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(config))
  return async () => {
    const id = `bench-${process.pid}`
    const status = await getAddon().waitProcess(getAddon().spawn(program, [name, '--root', join(folder, `${name}-state`), 'run', '--bundle', bundle, id], ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'], [-1, 2, 2]))
    if (status !== 0) throw new Error(`${name} ended with status ${status}`)
  }
}

/** crun refuses to work where cgroups of both versions are mounted. This namespace is ours alone. */
function hideUnified(): void {
  const hierarchies = probeHost().hierarchies
  const unified = hierarchies.find(({ kind }) => kind === 'v2')
  if (unified !== undefined && hierarchies.some(({ kind }) => kind === 'v1')) execFileSync('umount', [unified.mountPoint])
}

async function time(way: Way): Promise<number> {
  const started = performance.now()
  await way()
  return performance.now() - started
}

hideUnified()
using folder = new BenchFolder()
const root = join(folder.path, 'rootfs')
mkdirSync(join(root, 'proc'), { recursive: true })
copyFileSync(compileProbe(folder.path), join(root, 'true'))
const ways = new Map<string, Way>([['tsbuild', ownWay(root, folder.path)]])
for (const name of ['crun', 'runc']) {
  const way = peerWay(name, { root, folder: folder.path })
  if (way !== undefined) ways.set(name, way)
}
const times = new Map<string, number[]>([...ways.keys()].map((name) => [name, []]))
for (let turn = 0; turn < count; turn += 1) {
  for (const [name, way] of ways) {
    if (name !== 'tsbuild' && turn % peerEvery !== 0) continue
    rmSync(join(folder.path, 'work', 'work'), { recursive: true, force: true })
    times.get(name)?.push(await time(way))
  }
}
const own = summarize(times.get('tsbuild') ?? []).median
console.log(`container      ${[...times].map(([name, found]) => {
  const { least, median } = summarize(found)
  return `${name} ${median.toFixed(2)} ms (least ${least.toFixed(2)}${name === 'tsbuild' ? '' : `; ${(median / own).toFixed(1)}x`})`
}).join('   ')}   wanted at most 3 ms`)
