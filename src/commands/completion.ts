import type { CommandEntry, CommandSpec } from '../command.ts'
import { helpOption } from '../arguments.ts'
import { completionScript, shells } from '../completion-script.ts'
import { UsageError } from '../errors.ts'
import { listed } from '../help.ts'

/** Of these commands, each with its options. */
export function createCompletionCommand(commands: readonly CommandEntry[]): CommandSpec {
  return {
    name: 'completion',
    operands: shells.join('|'),
    minOperands: 1,
    maxOperands: 1,
    summary: 'Print what makes a shell complete commands, options, images and containers',
    options: [],
    examples: [
      'tsbuild completion bash > /etc/bash_completion.d/tsbuild',
      'tsbuild completion zsh > "${fpath[1]}/_tsbuild"',
      'tsbuild completion fish > ~/.config/fish/completions/tsbuild.fish',
    ],
    run: async ({ operands: [word = ''] }, app) => {
      const shell = shells.find((known) => known === word)
      if (shell === undefined) throw new UsageError(`"tsbuild completion" knows ${shells.join(', ')}, not "${word}"`)
      const described = await Promise.all(listed(commands).map(async ({ name, summary, load }) => {
        const { options, operands } = await load()
        return { name, summary, operands, options: [...options, helpOption].filter(({ isHidden }) => isHidden !== true) }
      }))
      app.print(completionScript(shell, described))
      return 0
    },
  }
}
