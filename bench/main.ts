/**
 * npm run bench [-- --only run20,copy10k --tools docker,tsbuild -n 5 --json FILE]
 * Times the same work with tsbuild and the peers that are there, in turn in one run, and prints medians and ratios.
 * TSBUILD_BENCH_PEERS puts words before every peer's command (`chroot /peers`), TSBUILD_BENCH_SHARE names a folder here and as they see it
 * (`/srv/share:/share`), TSBUILD_BENCH_REGISTRY a registry without TLS (default localhost:5000).
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Peers, tools } from './peers.ts'
import type { Tool } from './peers.ts'
import type { Scenario } from './scenarios.ts'
import { listScenarios, writeContexts } from './scenarios.ts'
import { languageRows } from './language-rows.ts'
import { runtimeRows } from './runtime-rows.ts'

interface Measured { readonly seconds: readonly number[]; readonly failure: string | undefined }

const { values } = parseArgs({ options: { only: { type: 'string' }, tools: { type: 'string' }, runs: { type: 'string', short: 'n', default: '5' }, json: { type: 'string' } } })
const [folder = join(tmpdir(), 'tsbuild-bench'), folderInside = folder] = (process.env['TSBUILD_BENCH_SHARE'] ?? '').split(':').filter((part) => part !== '')
mkdirSync(folder, { recursive: true })
const wanted = (values.tools?.split(',') ?? [...tools]).filter((tool): tool is Tool => tools.some((known) => known === tool))
const peers = new Peers({
  prefix: (process.env['TSBUILD_BENCH_PEERS'] ?? '').split(' ').filter((word) => word !== ''),
  folder,
  folderInside,
  registry: process.env['TSBUILD_BENCH_REGISTRY'] ?? 'localhost:5000',
  tsbuild: [process.execPath, join(import.meta.dirname, '..', 'bin', 'tsbuild.cjs')],
  wanted,
})
writeContexts(folder)
const only = values.only?.split(',')
const results: Record<string, Record<string, Measured>> = {}
for (const scenario of listScenarios(peers).filter(({ name }) => only === undefined || only.includes(name))) {
  const measured = measure(scenario, Number(values.runs))
  results[scenario.name] = Object.fromEntries(measured)
  console.log(describe(scenario.name, measured))
}
for (const row of [...languageRows, ...runtimeRows].filter(({ name }) => only === undefined || only.includes(name))) {
  for (const line of await row.measure(Number(values.runs))) console.log(line)
}
peers.clearAside()
if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(results, undefined, 1))

/** The tools take turns, so that a slow spell of the machine falls on all of them. */
function measure({ setup, before, commands }: Scenario, runs: number): Map<Tool, Measured> {
  setup?.()
  const measured = new Map<Tool, Measured>()
  for (let run = 0; run < runs; run += 1) {
    for (const tool of tools) {
      const command = commands[tool]
      if (command === undefined) continue
      before?.(tool)
      const { seconds, failure } = measured.get(tool) ?? { seconds: [], failure: undefined }
      const outcome = time(command)
      measured.set(tool, typeof outcome === 'number' ? { seconds: [...seconds, outcome], failure } : { seconds, failure: outcome })
    }
  }
  return measured
}

/** Seconds of the whole process, or what it said when it failed. */
function time([file = '', ...args]: readonly string[]): number | string {
  const started = process.hrtime.bigint()
  const { status, stderr, stdout } = spawnSync(file, args, { env: peers.environment, encoding: 'utf8' })
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  return status === 0 ? seconds : (stderr || stdout).trim().slice(-300)
}

function describe(name: string, measured: ReadonlyMap<Tool, Measured>): string {
  const own = median(measured.get('tsbuild')?.seconds ?? [])
  const cells = [...measured].flatMap(([tool, { seconds, failure }]) => {
    const middle = median(seconds)
    if (middle === undefined) return [`${tool} FAILED: ${failure ?? ''}`]
    const ratio = tool === 'tsbuild' || own === undefined ? '' : ` (${(middle / own).toFixed(1)}x)`
    return [`${tool} ${middle.toFixed(3)}s${ratio}`]
  })
  return `${name.padEnd(14)} ${cells.join('   ')}`
}

function median(seconds: readonly number[]): number | undefined {
  const sorted = [...seconds].sort((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)]
}
