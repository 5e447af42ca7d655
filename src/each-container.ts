import type { App } from './app.ts'
import { renderProblem } from './render/problem.ts'

/** Does the work for each name in turn and prints those it was done for; what fails for one does not keep the others from it. Gives the first failure's exit code. */
export async function eachContainer(names: readonly string[], app: App, work: (name: string) => Promise<void> | void): Promise<number> {
  let exitCode = 0
  for (const name of names) {
    try {
      await work(name)
      app.print(name)
    } catch (error) {
      const problem = renderProblem(error)
      for (const line of problem.lines) app.note(line)
      if (exitCode === 0) exitCode = problem.exitCode
    }
  }
  return exitCode
}
