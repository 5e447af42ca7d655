import type { App } from './app.ts'
import { renderProblem } from './render/problem.ts'

/**
 * Does the work for each name in turn and prints the lines it gives; what fails for one does not keep the others from it.
 * Gives the exit code, that of the first failure.
 */
export async function eachName(names: readonly string[], app: App, work: (name: string) => Promise<readonly string[]> | readonly string[]): Promise<number> {
  let exitCode = 0
  for (const name of names) {
    try {
      for (const line of await work(name)) app.print(line)
    } catch (error) {
      app.signal.throwIfAborted()
      const problem = renderProblem(error)
      for (const line of problem.lines) app.note(line)
      exitCode ||= problem.exitCode
    }
  }
  return exitCode
}
