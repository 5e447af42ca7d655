/**
 * A program that runs one container on the terminal it was started in: `terminal-child.ts SPEC FILE`. Once there is that file
 * it gives that terminal another size, as a user does who pulls at a window.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { ContainerSpec } from '../../runtime/index.ts'
import { runContainer } from '../../runtime/index.ts'

const spec = JSON.parse(process.argv[2] ?? '') as ContainerSpec
const watch = setInterval(() => {
  if (!existsSync(process.argv[3] ?? '')) return
  clearInterval(watch)
  execFileSync('stty', ['-F', '/dev/tty', 'rows', '50', 'cols', '120'])
}, 20)
const exit = await runContainer(spec, { kind: 'terminal', input: 0, output: 1, signals: process }, { signal: new AbortController().signal, emit: () => undefined })
process.exitCode = exit.exitCode
