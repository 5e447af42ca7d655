/**
 * npm run faults:crowd [-- --processes 16 --seconds 60 --seed 1 --json]
 * Many processes work on one store at once, gc among them, and are killed at random moments and replaced by others. Whenever all are gone the
 * store must be clean and have every image that was reported done; when the images are removed, gc must leave what an empty store takes.
 */
/* eslint-disable no-console -- a program that reports to whoever started it */
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fsck, gc, openStore } from '../../storage/index.ts'
import { task } from '../support/streams.ts'
import { sizeAfterGc, TrialStores } from './trial-stores.ts'

const { values } = parseArgs({ options: {
  processes: { type: 'string', default: '16' }, seconds: { type: 'string', default: '60' }, seed: { type: 'string', default: '1' }, json: { type: 'boolean', default: false },
} })
const kinds = ['ingest', 'apply', 'pull', 'commit', 'image', 'gc', 'image', 'pull'] as const
const everything = { what: 'all', filters: {}, keepLast: undefined, budgets: {} } as const
const roundSeconds = 20

using stores = await TrialStores.create()
const [root, empty] = [join(stores.folder, 'store'), join(stores.folder, 'empty')]
for (const path of [root, empty]) {
  mkdirSync(path)
  await (await openStore(path))[Symbol.asyncDispose]()
}
const problems: string[] = []
let [done, killed, random] = [0, 0, Number(values.seed)]
for (let round = 0; round < Math.ceil(Number(values.seconds) / roundSeconds); round += 1) {
  const output = await work(round, Math.min(roundSeconds, Number(values.seconds)))
  problems.push(...(await judge(output)).map((problem) => `round ${round}: ${problem}`))
}
await using store = await openStore(root)
await gc(store, task, { dryRun: false, policies: [everything] })
const [left, wanted] = [await sizeAfterGc(root), await sizeAfterGc(empty)]
if (left !== wanted) problems.push(`after gc it takes ${left} and not ${wanted}`)
console.log(values.json ? JSON.stringify({ done, killed, problems }) : [...problems, `${done} things were reported done, ${killed} processes killed, ${problems.length} problems`].join('\n'))
process.exitCode = problems.length === 0 ? 0 : 1

function nextRandom(below: number): number {
  random = (random * 1_103_515_245 + 12_345) % 2_147_483_648
  return Math.floor(random / 65_536) % below
}

/** @returns the lines that the processes printed before they were killed */
async function work(round: number, seconds: number): Promise<string[]> {
  const lines: string[] = []
  const until = performance.now() + seconds * 1000
  const slots = Array.from({ length: Number(values.processes) }, (_, slot) => slot)
  await Promise.all(slots.map(async (slot) => {
    for (let turn = 0; performance.now() < until; turn += 1) {
      const child = start(kinds[(slot + turn) % kinds.length] ?? 'gc', `${round}.${slot}.${turn}`, lines)
      const life = 2000 + nextRandom(8000)
      const end = setTimeout(() => child.kill('SIGKILL'), Math.min(life, Math.max(0, until - performance.now())))
      if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
      clearTimeout(end)
      if (child.signalCode === 'SIGKILL') killed += 1
      else problems.push(`${child.spawnargs.join(' ')} ended with ${child.exitCode ?? 'no code'}`)
    }
  }))
  done += lines.length
  return lines
}

function start(kind: string, seed: string, lines: string[]): ChildProcess {
  const [file = '', ...args] = stores.worker(root, kind, seed)
  const child = spawn(file, args, { env: stores.env, stdio: ['ignore', 'pipe', 'inherit'] })
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = `${rest}${text}`.split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
  })
  return child
}

/** Layers and blobs that nothing refers to are gc's to take; images stay, those too whose name another one has now. */
async function judge(lines: readonly string[]): Promise<string[]> {
  await using judged = await openStore(root)
  const lost = lines.filter((line) => line.startsWith('image ') && judged.images.find(line.slice(6)) === undefined)
  const { findings } = await fsck(judged, task)
  return [...findings.map((finding) => `fsck finds ${JSON.stringify(finding)}`), ...lost.map((line) => `lost ${line}`)]
}
