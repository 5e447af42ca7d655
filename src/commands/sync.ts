import { readFileSync } from 'node:fs'
import { createLimit } from '../../core/limit.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { copyOptions, parseCopy } from '../copy-options.ts'
import { UsageError } from '../errors.ts'
import { parsePositive } from '../option-values.ts'
import { renderTransfers } from '../render/transfers.ts'

export const syncCommand: CommandSpec = {
  name: 'sync',
  operands: 'FILE',
  minOperands: 1,
  maxOperands: 1,
  summary: 'Copy every image of a list: a line for each with source and destination as of "tsbuild copy"; - is standard input',
  options: [...copyOptions, { name: 'max-images', value: 'N', help: 'Images at a time (default 3)' }, { name: 'quiet', short: 'q', help: 'Print only what fails' }],
  examples: ['tsbuild sync --all images.txt', 'echo "docker://debian:bookworm oci:images:debian" | tsbuild sync -'],
  run: sync,
}

interface Pair { readonly from: string; readonly to: string }

/** One image that fails does not stop the others; the exit code is that of the first failure. */
async function sync({ operands: [file = ''], options }: CommandInput, app: App): Promise<number> {
  const { copyImage, parseLocation, usualBlobs } = await import('../../builder/index.ts')
  const { renderProblem } = await import('../render/problem.ts')
  const requests = parseList(readFileSync(file === '-' ? 0 : file, 'utf8')).map(({ from, to }) => ({ from: parseLocation(from), to: parseLocation(to), name: `${from} ${to}` }))
  const settings = { ...parseCopy(options), blobs: usualBlobs }
  await using engine = await app.openEngine()
  const exitCodes: number[] = []
  const limit = createLimit(parsePositive(options, 'max-images') ?? 3, app.signal)
  await Promise.all(requests.map(({ name, ...locations }) => limit(async () => {
    try {
      const { digest } = await copyImage(engine, { ...locations, ...settings }, { signal: app.signal, emit: renderTransfers(app, options.has('quiet')) })
      if (!options.has('quiet')) app.print(`${name}: ${digest}`)
    } catch (error) {
      app.signal.throwIfAborted()
      const { lines, exitCode } = renderProblem(error)
      for (const line of [`${name}:`, ...lines]) app.note(line)
      exitCodes.push(exitCode)
    }
  })))
  if (exitCodes.length > 0) app.note(`${exitCodes.length} of ${requests.length} images failed`)
  return exitCodes[0] ?? 0
}

/** Empty lines and those that begin with # say nothing. @throws {UsageError} */
function parseList(text: string): Pair[] {
  const lines = text.split('\n').map((line, index) => ({ words: line.trim().split(/\s+/u), number: index + 1 }))
  return lines.filter(({ words: [first = ''] }) => first !== '' && !first.startsWith('#')).map(({ words, number }) => {
    const [from, to, ...others] = words
    if (from === undefined || to === undefined || others.length > 0) throw new UsageError(`line ${number} of the list has ${words.length} words, want source and destination`)
    return { from, to }
  })
}
