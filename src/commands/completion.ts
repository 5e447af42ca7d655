import type { CommandSpec } from '../command.ts'
import { completionScript, shells } from '../completion-script.ts'
import { UsageError } from '../errors.ts'

export const completionCommand: CommandSpec = {
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
    app.print(completionScript(shell, await app.listCommands()))
    return 0
  },
}
