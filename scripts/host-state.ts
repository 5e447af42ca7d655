/** What processes of ours could leave on a host, to be compared before and after. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { isErrno } from '../core/errors.ts'
import { findHierarchies } from '../runtime/cgroup/hierarchies.ts'

export type HostState = ReadonlySet<string>

/** By design the bridge and its table stay, as Docker's do, until "tsbuild system prune". */
const staying = /^(?:link tsbuild0$|rules table (?:ip|inet) tsbuild )/u

export function lookAtHost(): HostState {
  return new Set([
    ...lines(readFileSync('/proc/self/mountinfo', 'utf8')).map((line) => `mount ${line.split(' ').slice(3, 5).join(' at ')}`),
    ...findHierarchies().flatMap(({ mountPoint }) => listGroups(mountPoint)).map((group) => `cgroup ${group}`),
    ...readdirSync('/sys/class/net').map((name) => `link ${name}`),
    ...listTables().map((table) => `rules ${table}`),
    ...listProcesses(),
  ].filter((entry) => !staying.test(entry)))
}

const samples = 5
const everyMs = 2000

/** What is there afterwards and stays: what is just ending is given some seconds. */
export async function findLeftovers(before: HostState): Promise<string[]> {
  let left = compareStates(before, lookAtHost())
  for (let sample = 1; sample < samples && left.length > 0; sample += 1) {
    await setTimeout(everyMs)
    const now = new Set(compareStates(before, lookAtHost()))
    left = left.filter((entry) => now.has(entry))
  }
  return left
}

/** What is new; and of the rules of others, which nobody may touch, also what is gone. */
export function compareStates(before: HostState, after: HostState): string[] {
  const gone = [...before].filter((entry) => entry.startsWith('rules ') && !after.has(entry)).map((entry) => `gone: ${entry}`)
  return [...[...after].filter((entry) => !before.has(entry)), ...gone]
}

/** Every table whole, chains, rules and sets, without counters. */
function listTables(): string[] {
  const { stdout, stderr, status, error } = spawnSync('nft', ['--stateless', 'list', 'ruleset'], { encoding: 'utf8' })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`nft cannot list the rules: ${stderr}`)
  return stdout.split(/^(?=table )/mu).map((table) => table.trim().replaceAll(/\s+/gu, ' ')).filter((table) => table !== '')
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}

function listGroups(folder: string): string[] {
  const names = whileItIsThere(() => readdirSync(folder, { withFileTypes: true })) ?? []
  return names.filter((entry) => entry.isDirectory()).flatMap(({ name }) => [...(name.startsWith('tsbuild-') ? [join(folder, name)] : []), ...listGroups(join(folder, name))])
}

/** Helpers, what they started, and commands. A zombie is gone but for whoever should have asked for its end. */
function listProcesses(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/u.test(name)).flatMap((pid) => {
    const words = (whileItIsThere(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')) ?? '').split('\0')
    const isOurs = words[0] === 'tsbuild-helper' || words[0] === 'pasta' || words[0] === 'slirp4netns' || words.some((word) => word.endsWith('/bin/tsbuild.cjs'))
    return isOurs ? [`process ${pid} ${words.join(' ').trim()}`] : []
  })
}

function whileItIsThere<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH', 'EACCES')) return undefined
    throw error
  }
}
