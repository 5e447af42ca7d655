import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DirectoryView } from '../builder/context/directory-view.ts'
import { parseDockerignore } from '../builder/context/dockerignore.ts'
import { walkRoot } from '../builder/copy/walk.ts'
import { parseDockerfile } from '../builder/dockerfile/parse.ts'
import { lower } from '../builder/plan/lower.ts'
import type { RuntimeRow } from './runtime-rows.ts'

/** What a build does before its first step, timed inside this process. */
export const languageRows: readonly RuntimeRow[] = [
  { name: 'plan2000', measure: timePlanning },
  { name: 'ignore50000', measure: timeIgnoring },
]

const lines = 2000
const patterns = 1000
const files = 50_000
const filesPerFolder = 100

/** A first run compiles what the next ones use; a build has that once, so both are told. */
async function timePlanning(runs: number): Promise<readonly string[]> {
  const kinds = ['RUN --mount=type=cache,target=/c echo $A ${B:-x}', 'ENV A=$B C="d e"', 'COPY --chown=1:2 --chmod=644 a b /c/', 'LABEL a=b "c d"=$A', 'ARG X=${A%.*}', 'WORKDIR /w$B', 'USER $A:1', 'RUN ["a", "b"]']
  const text = `FROM scratch\n${Array.from({ length: lines - 1 }, (_, index) => `${kinds[index % kinds.length] ?? ''}\n`).join('')}`
  const platform = { os: 'linux', architecture: 'amd64' }
  const plan = async (): Promise<void> => {
    const dockerfile = parseDockerfile({ name: 'Dockerfile', text })
    await lower({ dockerfile, target: undefined, buildArgs: new Map(), platform, buildPlatform: platform, contexts: new Map() }, { resolve: () => Promise.reject(new Error('scratch is no image')) })
  }
  const [first = 0, ...times] = await repeat(runs + 1, plan)
  return [`plan2000       tsbuild first ${show(first)}   then ${show(median(times))}   wanted at most 30 ms`]
}

async function timeIgnoring(runs: number): Promise<readonly string[]> {
  const root = mkdtempSync(join(tmpdir(), 'tsbuild-bench-ignore-'))
  try {
    for (let index = 0; index < files; index += 1) {
      const folder = join(root, `d${Math.floor(index / filesPerFolder)}`)
      if (index % filesPerFolder === 0) mkdirSync(folder)
      writeFileSync(join(folder, `f${index}.txt`), '')
    }
    const kinds = [(index: number) => `**/*.x${index}`, (index: number) => `d${index}/never`, (index: number) => `d*/f${index}?.md`, (index: number) => `!d${index}/f*.keep`, (index: number) => `/top${index}/**`]
    const text = Array.from({ length: patterns }, (_, index) => kinds[index % kinds.length]?.(index) ?? '').join('\n')
    const walk = async (ignore: string): Promise<void> => {
      const view = new DirectoryView(root, parseDockerignore(ignore))
      const top = Buffer.from('/')
      const entry = await view.lstat(top)
      if (entry === undefined) throw new Error('there is no root')
      const seen = (await walkRoot(view, { path: top, followed: top, entry })).length
      if (seen < files) throw new Error(`${seen} entries were seen`)
    }
    const [, ...walks] = await repeat(runs + 1, () => walk(text))
    const [, ...bare] = await repeat(runs + 1, () => walk(''))
    return [`ignore50000    tsbuild ${show(median(walks))}   without patterns ${show(median(bare))}   wanted at most 1000 ms`]
  } finally {
    rmSync(root, { recursive: true })
  }
}

async function repeat(times: number, work: () => Promise<void>): Promise<number[]> {
  const taken: number[] = []
  for (let turn = 0; turn < times; turn += 1) {
    const started = performance.now()
    await work()
    taken.push(performance.now() - started)
  }
  return taken
}

function median(times: readonly number[]): number {
  return [...times].sort((one, other) => one - other)[Math.floor(times.length / 2)] ?? 0
}

function show(milliseconds: number): string {
  return `${milliseconds.toFixed(1)} ms`
}
