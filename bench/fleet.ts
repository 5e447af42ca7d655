/**
 * npm run bench:fleet [-- --builders 1,2,4,8 --steps 8 --seconds 0.25 --json FILE]
 * Builders that share one cache in a registry, each a fresh machine: an empty store, and a network namespace of its own that reaches
 * nothing but the registry's. Three rounds, all builders at the same time: nothing is cached; each has a commit of its own, which changes
 * the last two of the steps; the same commits again, which is what is lost when writers of the cache get in each other's way. Prints the share of steps that came from the cache, and times, as the number of builders grows.
 * Needs root, iproute2 and docker-registry. The namespaces are removed at the end.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { writeBusyboxRootfs } from '../scripts/busybox-rootfs.ts'

const { values } = parseArgs({ options: { builders: { type: 'string', default: '1,2,4,8' }, steps: { type: 'string', default: '8' }, seconds: { type: 'string', default: '0.25' }, json: { type: 'string' } } })
const command = join(import.meta.dirname, '..', 'bin', 'tsbuild.cjs')
const folder = mkdtempSync(join(tmpdir(), 'tsbuild-fleet-'))
const prefix = `tsb-fleet-${process.pid}`
const hub = `${prefix}-hub`
const registry = '10.87.0.1:5000'
const env = { ...process.env, CONTAINERS_REGISTRIES_CONF: join(folder, 'registries.conf'), DOCKER_CONFIG: folder, NODE_EXTRA_CA_CERTS: '' }
const namespaces: string[] = []

interface Built { readonly seconds: number; readonly hits: number; readonly steps: number }
interface Round extends Built { readonly builders: number; readonly round: string; readonly slowest: number }

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] })
}

function addNamespace(name: string): void {
  ip('netns', 'add', name)
  namespaces.push(name)
  ip('-n', name, 'link', 'set', 'lo', 'up')
}

/** One end of a cable in the builder's namespace, the other on the switch of the hub. */
function addBuilder(number: number): string {
  const name = `${prefix}-${number}`
  addNamespace(name)
  ip('-n', hub, 'link', 'add', `port${number}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
  ip('-n', hub, 'link', 'set', `port${number}`, 'master', 'switch', 'up')
  ip('-n', name, 'addr', 'add', `10.87.0.${number + 10}/24`, 'dev', 'eth0')
  ip('-n', name, 'link', 'set', 'eth0', 'up')
  return name
}

async function startRegistry(): Promise<() => Promise<void>> {
  const config = join(folder, 'registry.json')
  const log = join(folder, 'registry.log')
  writeFileSync(config, JSON.stringify({ version: 0.1, log: { level: 'info', accesslog: { disabled: true } }, storage: { filesystem: { rootdirectory: join(folder, 'storage') } }, http: { addr: registry } }))
  const server = spawn('sh', ['-c', `exec ip netns exec ${hub} docker-registry serve ${config} >${log} 2>&1`], { stdio: 'ignore', env: { PATH: process.env['PATH'], OTEL_TRACES_EXPORTER: 'none' } })
  const ended = new Promise<void>((resolve) => { server.on('close', () => { resolve() }) })
  while (!readFileSync(log, { encoding: 'utf8', flag: 'a+' }).includes('listening on')) {
    if (server.exitCode !== null) throw new Error(`docker-registry ended: ${readFileSync(log, 'utf8')}`)
    await sleep(20)
  }
  return async () => {
    server.kill('SIGKILL')
    await ended
  }
}

function pushBase(): void {
  writeBusyboxRootfs(join(folder, 'rootfs.tar'))
  const run = (...args: readonly string[]): void => { execFileSync('ip', ['netns', 'exec', hub, process.execPath, command, ...args], { env: { ...env, TSBUILD_ROOT: join(folder, 'first') }, stdio: ['ignore', 'ignore', 'inherit'] }) }
  run('import', join(folder, 'rootfs.tar'), `${registry}/base:1`)
  run('push', `${registry}/base:1`)
}

/** `commit` is what the last two steps are made of. */
function writeContext(commit: string): string {
  const context = join(folder, `context-${commit}`)
  mkdirSync(context, { recursive: true })
  const shared = Array.from({ length: Number(values.steps) - 2 }, (_, index) => `RUN sleep ${values.seconds}; head -c 200000 /dev/zero | tr '\\0' ${index} >/part${index}\n`)
  writeFileSync(join(context, 'Dockerfile'), `FROM ${registry}/base:1\n${shared.join('')}COPY commit /commit\nRUN sleep ${values.seconds}; cat /commit >/made\n`)
  writeFileSync(join(context, 'commit'), commit)
  return context
}

async function build(namespace: string, { context, cache }: { readonly context: string; readonly cache: string }): Promise<Built> {
  const root = mkdtempSync(join(folder, 'root-'))
  const from = `type=registry,ref=${cache}`
  const args = ['build', '--network', 'none', '--progress', 'json', '--cache-from', from, '--cache-to', `${from},mode=max`, context]
  const started = process.hrtime.bigint()
  const child = spawn('ip', ['netns', 'exec', namespace, process.execPath, command, ...args], { env: { ...env, TSBUILD_ROOT: root }, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise<number | null>((resolve) => { child.on('close', resolve) })
  const [events, problems] = await Promise.all([text(child.stdout), text(child.stderr)])
  if (await ended !== 0) throw new Error(`a build failed: ${problems}${events.slice(-500)}`)
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  rmSync(root, { recursive: true, force: true })
  const outcomes = `${events}${problems}`.split('\n').filter((line) => line.includes('"node-finished"')).map((line) => (JSON.parse(line) as { outcome: string }).outcome)
  // The first is the base image, which is never made.
  return { seconds, hits: outcomes.slice(1).filter((outcome) => outcome === 'cached').length, steps: outcomes.length - 1 }
}

async function runRound(builders: readonly string[], round: string, { contextOf, cache }: { readonly contextOf: (builder: number) => string; readonly cache: string }): Promise<Round> {
  const built = await Promise.all(builders.map((namespace, index) => build(namespace, { context: contextOf(index), cache })))
  const seconds = built.map((one) => one.seconds).sort((one, other) => one - other)
  return {
    builders: builders.length, round, seconds: seconds[Math.floor(seconds.length / 2)] ?? 0, slowest: seconds.at(-1) ?? 0,
    hits: built.reduce((sum, { hits }) => sum + hits, 0), steps: built.reduce((sum, { steps }) => sum + steps, 0),
  }
}

const rounds: Round[] = []
let stop: (() => Promise<void>) | undefined
try {
  writeFileSync(env.CONTAINERS_REGISTRIES_CONF, `[[registry]]\nlocation = "${registry}"\ninsecure = true\n`)
  addNamespace(hub)
  ip('-n', hub, 'link', 'add', 'switch', 'type', 'bridge')
  ip('-n', hub, 'addr', 'add', '10.87.0.1/24', 'dev', 'switch')
  ip('-n', hub, 'link', 'set', 'switch', 'up')
  stop = await startRegistry()
  pushBase()
  const counts = values.builders.split(',').map(Number)
  const machines = Array.from({ length: Math.max(...counts) }, (_, index) => addBuilder(index + 1))
  console.log('builders  round         from the cache   median s  slowest s')
  for (const count of counts) {
    const cache = `${registry}/cache:of-${count}`
    const own = (builder: number): string => writeContext(`${count}-of-${builder}`)
    for (const [round, contextOf] of [['cold', () => writeContext(`${count}-first`)], ['own commits', own], ['the same', own]] as const) {
      const result = await runRound(machines.slice(0, count), round, { contextOf, cache })
      rounds.push(result)
      const share = `${result.hits}/${result.steps}`.padStart(7)
      console.log(`${String(count).padStart(8)}  ${round.padEnd(12)}  ${share}  ${String(Math.round(100 * result.hits / result.steps)).padStart(3)} %   ${result.seconds.toFixed(2).padStart(8)}  ${result.slowest.toFixed(2).padStart(9)}`)
    }
  }
} finally {
  await stop?.()
  for (const name of namespaces) ip('netns', 'del', name)
  rmSync(folder, { recursive: true, force: true })
}
if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(rounds, undefined, 1))
