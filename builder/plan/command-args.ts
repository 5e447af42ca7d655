import type { RunConfig } from '../../oci/image-config.ts'
import type { CommandLine } from '../dockerfile/instruction.ts'

const defaultShell: readonly string[] = ['/bin/sh', '-c']

export function shellOf(config: RunConfig): readonly string[] {
  return config.Shell ?? defaultShell
}

/** The arguments a command has in an image whose SHELL so far is the config's. Here-documents are the shell's to read. */
export function commandArgs(command: CommandLine, config: RunConfig): readonly string[] {
  if (command.form === 'exec') return command.args
  const bodies = command.heredocs.map(({ name, rawContent }) => `\n${rawContent}${name}`)
  return [...shellOf(config), command.line + bodies.join('')]
}
