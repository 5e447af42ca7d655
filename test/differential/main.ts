/**
 * npm run test:differential [-- --only NAME,…]
 * Builds every case with docker build and with tsbuild and compares the images: config, history, and every file of the
 * flattened tree. TSBUILD_BENCH_PEERS puts words before docker's commands, TSBUILD_BENCH_SHARE names a folder here and
 * as docker sees it, TSBUILD_BENCH_REGISTRY a registry without TLS that has library/busybox (default localhost:5000). Docker runs `xz`,
 * which Debian only recommends beside it: install xz-utils there.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Case } from './cases.ts'
import { cases } from './cases.ts'
import { writeFixture } from './fixture.ts'
import type { ImageFacts } from './image-facts.ts'
import { readImages } from './image-facts.ts'

/** Docker's unpacker leaves these where it cannot pivot, as in a chroot. */
const leftover = /\/\.pivot_root\d+$/u

const { values } = parseArgs({ options: { only: { type: 'string' } } })
const prefix = (process.env['TSBUILD_BENCH_PEERS'] ?? '').split(' ').filter((word) => word !== '')
const [share = tmpdir(), shareInside = share] = (process.env['TSBUILD_BENCH_SHARE'] ?? '').split(':').filter((part) => part !== '')
const folder = join(share, 'tsbuild-differential')
const inside = join(shareInside, 'tsbuild-differential')
const registry = process.env['TSBUILD_BENCH_REGISTRY'] ?? 'localhost:5000'
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
writeFileSync(join(folder, 'registries.conf'), `[[registry]]\nprefix = "docker.io"\nlocation = "${registry}"\ninsecure = true\n`)
const environment: NodeJS.ProcessEnv = { ...process.env, TSBUILD_ROOT: join(folder, 'store'), CONTAINERS_REGISTRIES_CONF: join(folder, 'registries.conf') }

interface Outcome { readonly ok: boolean; readonly said: string }

function run([file = '', ...args]: readonly string[], input?: string): Outcome {
  const { status, stdout, stderr } = spawnSync(file, args, { env: environment, encoding: 'utf8', maxBuffer: 1 << 28, ...(input === undefined ? {} : { input }) })
  return { ok: status === 0, said: `${stdout}${stderr}` }
}

const docker = (...args: readonly string[]): Outcome => run([...prefix, 'docker', ...args])
const tsbuild = (...args: readonly string[]): Outcome => run([process.execPath, join(import.meta.dirname, '..', '..', 'bin', 'tsbuild.cjs'), ...args])

const only = values.only?.split(',')
const chosen = cases.filter(({ name }) => only === undefined || only.includes(name))
const names = new Set(cases.map(({ name }) => name))
if (names.size !== cases.length) throw new Error('two cases have one name')

let different = 0
const both: Case[] = []
for (const testCase of chosen) {
  const context = join(folder, testCase.name)
  writeFixture(context, { Dockerfile: testCase.dockerfile, ...testCase.files })
  const options = ['--network', 'host', ...testCase.options ?? [], '-q', '-t', `diff-${testCase.name}`]
  const theirs = docker('build', '--no-cache', ...options, join(inside, testCase.name))
  const ours = tsbuild('build', ...options, context)
  const difference = outcomeDifference(testCase, theirs, ours)
  if (difference !== undefined) report(testCase, [difference])
  else if (theirs.ok && ours.ok && testCase.isWithoutLayers !== true) both.push(testCase)
}

for (let at = 0; at < both.length; at += 20) {
  const group = both.slice(at, at + 20)
  const images = group.map(({ name }) => `diff-${name}`)
  const saved = [docker('save', '-o', join(inside, 'docker.tar'), ...images), tsbuild('save', '--format', 'docker-archive', '-o', join(folder, 'tsbuild.tar'), ...images)]
  for (const { ok, said } of saved) if (!ok) throw new Error(said)
  const [theirs, ours] = await Promise.all([readImages(join(folder, 'docker.tar')), readImages(join(folder, 'tsbuild.tar'))])
  for (const testCase of group) {
    const lines = compare(testCase, theirs.get(`diff-${testCase.name}:latest`), ours.get(`diff-${testCase.name}:latest`))
    if (lines.length > 0) report(testCase, lines)
  }
}
docker('rmi', '-f', ...both.map(({ name }) => `diff-${name}`))
rmSync(folder, { recursive: true, force: true })
console.log(`${chosen.length} cases, ${different} different`)
process.exitCode = different === 0 ? 0 : 1

function outcomeDifference({ onlyWeRefuse, onlyWeBuild }: Case, theirs: Outcome, ours: Outcome): string | undefined {
  if (onlyWeRefuse !== undefined) return theirs.ok && !ours.ok ? undefined : `expected a refusal of ours (${onlyWeRefuse}): docker ${String(theirs.ok)}, tsbuild ${String(ours.ok)}`
  if (onlyWeBuild !== undefined) return !theirs.ok && ours.ok ? undefined : `expected a refusal of docker's (${onlyWeBuild}): docker ${String(theirs.ok)}, tsbuild ${String(ours.ok)}`
  if (theirs.ok === ours.ok) return undefined
  return theirs.ok ? `docker builds it, tsbuild does not:\n${ours.said}` : `tsbuild builds it, docker does not:\n${theirs.said}`
}

/** Lines of what differs, apart from the paths a case explains. */
function compare({ explained = {} }: Case, theirs: ImageFacts | undefined, ours: ImageFacts | undefined): string[] {
  if (theirs === undefined || ours === undefined) return ['an image is missing in what was saved']
  const lines: string[] = []
  const [one, other] = [JSON.stringify(theirs.config, undefined, 1).split('\n'), JSON.stringify(ours.config, undefined, 1).split('\n')]
  const configLines = [...one.filter((line) => !other.includes(line)).map((line) => `  docker:  ${line.trim()}`), ...other.filter((line) => !one.includes(line)).map((line) => `  tsbuild: ${line.trim()}`)]
  if (explained['config'] === undefined) lines.push(...configLines)
  for (const path of new Set([...Object.keys(theirs.tree), ...Object.keys(ours.tree)])) {
    if (theirs.tree[path] === ours.tree[path] || explained[path] !== undefined || leftover.test(path)) continue
    lines.push(`  ${path}: docker ${theirs.tree[path] ?? 'nothing'} | tsbuild ${ours.tree[path] ?? 'nothing'}`)
  }
  return lines
}

function report({ name, dockerfile }: Case, lines: readonly string[]): void {
  different += 1
  console.log(`--- ${name}\n${dockerfile}\n${lines.join('\n')}`)
}
