/**
 * node bench/layer-formats.ts [-n 5]
 * The same work with layers unpacked and with layers as tar and EROFS image, in turn in one run: medians of seconds, and their ratio. Against
 * the peers: TSBUILD_LAYER_FORMAT=erofs npm run bench. TSBUILD_BENCH_REGISTRY names a registry without TLS that has library/debian.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const formats = ['overlay', 'erofs'] as const
type Format = typeof formats[number]

const { values } = parseArgs({ options: { runs: { type: 'string', short: 'n', default: '5' } } })
const runs = Number(values.runs)
const registry = process.env['TSBUILD_BENCH_REGISTRY'] ?? 'localhost:5000'
const image = `${registry}/library/debian`
const folder = mkdtempSync(join(tmpdir(), 'tsbuild-bench-formats-'))
const registries = join(folder, 'registries.conf')
const context = join(folder, 'context')

function tsbuild(format: Format, ...args: string[]): { readonly seconds: number; readonly output: string } {
  const env = { ...process.env, TSBUILD_ROOT: join(folder, format), TSBUILD_LAYER_FORMAT: format, CONTAINERS_REGISTRIES_CONF: registries }
  const started = process.hrtime.bigint()
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, '..', 'bin', 'tsbuild.cjs'), ...args], { env, encoding: 'utf8', maxBuffer: 1 << 28 })
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  if (status !== 0) throw new Error(`${format}: ${args.join(' ')}: ${stderr}`)
  return { seconds, output: stdout }
}

/** What work in a container takes by the container's own clock; warm when it was done there before. */
function read(format: Format, work: string, isWarm: boolean): number {
  if (!isWarm) writeFileSync('/proc/sys/vm/drop_caches', '3')
  const script = `work() { ${work}; }; ${isWarm ? 'work > /dev/null 2>&1; ' : ''}s=$(date +%s%N); work > /dev/null 2>&1; e=$(date +%s%N); echo $((e - s))`
  return Number(tsbuild(format, 'run', '--network', 'none', image, 'sh', '-c', script).output.trim()) / 1e9
}

/** Deleting many files makes creating some slow for a while, so it is left to the end. */
function pullAnew(format: Format): number {
  if (readdirSync(folder).includes(format)) renameSync(join(folder, format), join(folder, `old-${process.hrtime.bigint()}`))
  return tsbuild(format, 'pull', '-q', image).seconds
}

const reads: Readonly<Record<string, string>> = {
  'read every file': 'tar cf - /usr | cat',
  'stat every file': 'find / -xdev -printf %s',
  'read at random': 'for f in /usr/bin/*; do dd if=$f bs=4k count=1 skip=3; done',
  'start 200 programs': 'i=0; while [ $i -lt 200 ]; do dpkg --version; i=$((i + 1)); done',
}
const rows: Readonly<Record<string, (format: Format) => number>> = {
  pull: pullAnew,
  'COPY of 10,000 files': (format) => tsbuild(format, 'build', '-q', '--no-cache', '-t', 'copied', context).seconds,
  run: (format) => tsbuild(format, 'run', '--network', 'none', image, 'true').seconds,
  df: (format) => tsbuild(format, 'df').seconds,
  ...Object.fromEntries(Object.entries(reads).flatMap(([name, work]) => [false, true].map((isWarm) =>
    [`${name}, ${isWarm ? 'warm' : 'cold'}`, (format: Format) => read(format, work, isWarm)] as const))),
  rmi: (format) => {
    tsbuild(format, 'tag', 'copied', 'removed')
    return tsbuild(format, 'rmi', 'removed').seconds
  },
}

try {
  mkdirSync(join(context, 'files'), { recursive: true })
  for (let index = 0; index < 10_000; index += 1) writeFileSync(join(context, 'files', `${index}`), Buffer.alloc(4096, `${index}`))
  writeFileSync(join(context, 'Dockerfile'), `FROM ${image}\nCOPY files /files\n`)
  writeFileSync(registries, `[[registry]]\nlocation="${registry}"\ninsecure=true\n`)
  for (const [name, work] of Object.entries(rows)) {
    const seconds: Readonly<Record<Format, number[]>> = { overlay: [], erofs: [] }
    for (let run = 0; run < runs; run += 1) for (const format of formats) seconds[format].push(work(format))
    const [overlay, erofs] = [median(seconds.overlay), median(seconds.erofs)]
    console.log(`${name.padEnd(26)} overlay ${overlay.toFixed(3)}   erofs ${erofs.toFixed(3)}   ${(overlay / erofs).toFixed(2)}x`)
  }
  const [overlay, erofs] = formats.map((format) => readdirSync(join(folder, format, 'layers'), { recursive: true }).length)
  console.log(`${'inodes of layers'.padEnd(26)} overlay ${overlay ?? 0}   erofs ${erofs ?? 0}`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function median(seconds: readonly number[]): number {
  return [...seconds].sort((one, other) => one - other)[Math.floor(seconds.length / 2)] ?? NaN
}
