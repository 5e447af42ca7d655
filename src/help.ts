import type { DescribedCommand } from './app.ts'
import { helpOption } from './arguments.ts'
import type { CommandEntry, CommandSpec, OptionSpec } from './command.ts'
import { formatTable } from './render/format.ts'

/** What people call. */
export function listed(commands: readonly CommandEntry[]): CommandEntry[] {
  return commands.filter(({ isInternal }) => isInternal !== true)
}

/** Loads them all. */
export function describeCommands(commands: readonly CommandEntry[]): Promise<readonly DescribedCommand[]> {
  return Promise.all(listed(commands).map(async ({ name, summary, load }) => {
    const command = await load()
    return { name, summary, operands: command.operands, options: shownOptions(command) }
  }))
}

function shownOptions(command: CommandSpec): OptionSpec[] {
  return [...command.options, helpOption].filter(({ isHidden }) => isHidden !== true)
}

export function programHelp(commands: readonly CommandEntry[]): string {
  return `Usage: tsbuild [build] [OPTIONS] CONTEXT
       tsbuild COMMAND

Build OCI images without a daemon, and keep, run and transfer them.

Commands:
${indent(formatTable(listed(commands).map(({ name, summary }) => [name, summary])))}

Example: tsbuild -t app:1 .
"tsbuild COMMAND --help" tells more about a command. Docker's "image ls", "container rm", "buildx build" and so on are understood as well.`
}

export function commandHelp(command: CommandSpec): string {
  const options = shownOptions(command)
  return `Usage: tsbuild ${command.name} [OPTIONS]${command.operands === '' ? '' : ` ${command.operands}`}

${command.summary}

Options:
${indent(formatTable(options.map((option) => [optionUsage(option), option.help])))}

${command.examples.length === 1 ? 'Example:' : 'Examples:'}
${indent(command.examples.join('\n'))}`
}

function optionUsage({ name, short, value, bare }: OptionSpec): string {
  const shown = value === undefined ? '' : bare === undefined ? ` ${value}` : `[=${value}]`
  return `${short === undefined ? '    ' : `-${short}, `}--${name}${shown}`
}

function indent(text: string): string {
  return text.split('\n').map((line) => `  ${line}`).join('\n')
}
