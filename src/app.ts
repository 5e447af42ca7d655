import type { Engine, EngineOptions } from '../builder/index.ts'

/** What commands get of the world: everything else they are told by arguments. */
export interface App {
  readonly env: NodeJS.ProcessEnv
  /** The command line, without the program. */
  readonly args: readonly string[]
  /** Aborts with a Canceled when the user or the system asks the program to stop. */
  readonly signal: AbortSignal
  readonly isTerminal: boolean
  /** Writes a line to standard output. */
  print(line: string): void
  /** Writes a line to standard error: progress and problems. */
  note(line: string): void
  /** Opens the store; the caller disposes of it. */
  openEngine(options?: Omit<EngineOptions, 'root' | 'env'>): Promise<Engine>
  /** All that people call. */
  listCommands(): Promise<readonly DescribedCommand[]>
}

/** What a shell needs to know of a command to complete it. */
export interface DescribedCommand {
  readonly name: string
  readonly summary: string
  /** As in the usage line. */
  readonly operands: string
  readonly options: readonly { readonly name: string; readonly short?: string; readonly value?: string; readonly bare?: string; readonly isHidden?: boolean; readonly help: string }[]
}
