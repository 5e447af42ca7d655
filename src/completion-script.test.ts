import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import type { DescribedCommand } from './app.ts'
import { commands as allCommands } from './commands/index.ts'
import { completionScript } from './completion-script.ts'
import { describeCommands } from './help.ts'

const commands: readonly DescribedCommand[] = [
  { name: 'build', summary: 'Build', operands: 'FOLDER|URL|-', options: [{ name: 'tag', short: 't', value: 'NAME', help: 'Isn\'t it' }, { name: 'pull', value: 'MODE', bare: 'always', help: '' }] },
  { name: 'rmi', summary: 'Remove', operands: 'IMAGE...', options: [{ name: 'force', short: 'f', help: '' }] },
  { name: 'inspect', summary: 'Show', operands: 'CONTAINER|IMAGE...', options: [] },
  { name: 'system', summary: 'Tidy', operands: 'prune', options: [] },
]

/** What bash offers at the end of a command line, with a tsbuild that has these images and containers. */
function complete(line: string): string[] {
  const words = line.split(' ')
  const script = `
tsbuild() { case $1 in images) printf 'app:1\\napp:2\\nbase:1\\n';; ps) echo web;; esac; }
${completionScript('bash', commands)}
COMP_LINE=$1 COMP_POINT=\${#1} COMP_WORDBREAKS=$' \\t\\n:'; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); cd /proc/self/task; _tsbuild; printf '%s\\n' "\${COMPREPLY[@]}"`
  return execFileSync('bash', ['-c', script, 'bash', line, ...words], { encoding: 'utf8' }).split('\n').filter((word) => word !== '')
}

describe('the completion of bash', () => {
  it.each([
    ['tsbuild r', ['rmi']],
    ['tsbuild rmi --', ['--force']],
    ['tsbuild --t', ['--tag']],
    ['tsbuild rmi app:', ['1', '2']],
    ['tsbuild inspect ', ['app:1', 'app:2', 'base:1', 'web']],
    ['tsbuild inspect w', ['web']],
    ['tsbuild system ', ['prune']],
    ['tsbuild nosuch --', []],
  ])('offers for "%s": %j', (line, expected) => {
    expect(complete(line)).toEqual(expected)
  })

  it('offers files behind an option that takes a value, and to a command that takes files', () => {
    for (const line of ['tsbuild build --tag ', 'tsbuild build ', 'tsbuild rmi -x /proc/self/st']) expect(complete(line).every((word) => !word.startsWith('app:'))).toBe(true)
    expect(complete('tsbuild build /proc/self/statu')).toEqual(['/proc/self/status'])
  })
})

describe('every completion script', () => {
  it('has all commands that people call', async () => {
    const script = completionScript('bash', await describeCommands(allCommands))
    for (const { name, isInternal } of allCommands) expect(script.includes(`\n    ${name}) `), name).toBe(isInternal !== true)
    execFileSync('bash', ['-n', '-c', script])
  })

  it('keeps quotes of help texts out of its own', () => {
    expect(completionScript('fish', commands)).toContain(`-l tag -s t -r -d 'Isn’t it'`)
    expect(completionScript('zsh', commands)).toMatch(/^#compdef tsbuild\n/u)
  })
})
