import type { App } from './app.ts'

/** One option of a command, with Docker's name. */
export interface OptionSpec {
  /** Without dashes. */
  readonly name: string
  readonly short?: string
  /** Other names that docker or podman have for it, without dashes. */
  readonly aliases?: readonly string[]
  /** What stands for the value in the help; an option without it is a switch. */
  readonly value?: string
  /** What it means to give the option without a value, which then has to follow an equals sign: `--pull`, `--pull=never`. */
  readonly bare?: string
  readonly isRepeatable?: boolean
  /** Taken for the sake of scripts, and not shown. */
  readonly isHidden?: boolean
  readonly help: string
}

/** One word after `tsbuild`. */
export interface CommandSpec {
  readonly name: string
  /** What follows the options in the usage line: `IMAGE [COMMAND...]`. */
  readonly operands: string
  readonly minOperands: number
  readonly maxOperands: number
  /** The first operand ends the options: what follows belongs to the container's command. */
  readonly stopsAtOperand?: boolean
  readonly summary: string
  readonly options: readonly OptionSpec[]
  /** Options that other tools have for this, without dashes, and what to do here. */
  readonly foreignOptions?: Readonly<Record<string, string>>
  readonly examples: readonly string[]
  /** The pid of a process whose user namespace a plain user's command has to be in; default a new one. */
  readonly findNamespace?: (input: CommandInput, app: App) => number | undefined
  /** Returns the exit code. */
  readonly run: (input: CommandInput, app: App) => Promise<number>
}

export interface CommandInput {
  readonly operands: readonly string[]
  readonly options: OptionValues
}

/** Options by name, as texts; asking for a name the command does not have is a bug and throws. */
export interface OptionValues {
  has(name: string): boolean
  /** The last value given. */
  text(name: string): string | undefined
  texts(name: string): readonly string[]
}

/** A command before it is loaded. */
export interface CommandEntry {
  readonly name: string
  /** The line in the list of commands. */
  readonly summary: string
  readonly load: () => Promise<CommandSpec>
  /** Only tsbuild itself calls it, so no list has it. */
  readonly isInternal?: boolean
  /** It touches no layers, so a plain user needs no user namespace for it. */
  readonly runsAsCaller?: boolean
}
