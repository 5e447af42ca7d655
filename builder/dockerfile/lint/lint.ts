import { evaluateGlobalArgs } from '../arg-scope.ts'
import { DockerfileError } from '../errors.ts'
import type { Dockerfile } from '../instruction.ts'
import { findTarget, reachableStages, resolveStages } from '../stage-graph.ts'
import type { LintFacts } from './facts.ts'
import { checkFile, everyInstruction } from './file-rules.ts'
import { checkFromLines } from './from-rules.ts'
import { checkOwn } from './own-rules.ts'
import { Reporter } from './reporter.ts'
import { checkStages } from './stage-rules.ts'
import type { Warning } from './warning.ts'

export interface LintResult {
  /** By line, those about no line first. */
  readonly warnings: readonly Warning[]
  /** What keeps the file from being built; the checks behind it were not made. */
  readonly error: DockerfileError | undefined
}

/**
 * Makes every check that the file wants made: BuildKit's and our own. See the README for what each looks for.
 * @throws {DockerfileError} when the options for checks themselves are malformed, or there is no such target
 */
export function lintDockerfile(dockerfile: Dockerfile, facts: LintFacts): LintResult {
  const reporter = new Reporter(dockerfile, facts.args.buildArgs.get('BUILDKIT_DOCKERFILE_CHECK'))
  const target = findTarget(dockerfile, facts.target)
  reporter.readAllComments(everyInstruction(dockerfile))
  checkFile(dockerfile, reporter)
  const lines = dockerfile.source.text.split('\n')
  const error = tryCheck(() => {
    const global = evaluateGlobalArgs(dockerfile, facts.args)
    const stages = resolveStages(dockerfile, global, facts.contexts)
    const checked = facts.target === undefined ? new Set(stages.keys()) : reachableStages(stages, target)
    const context = { dockerfile, lines, facts, global, stages, target, checked, reporter }
    checkFromLines(context)
    checkStages(context)
    checkOwn(context)
  })
  const line = ({ range }: Warning): number => range?.startLine ?? 0
  return { warnings: reporter.warnings.toSorted((one, other) => line(one) - line(other)), error }
}

function tryCheck(check: () => void): DockerfileError | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    if (error instanceof DockerfileError) return error
    throw error
  }
}
