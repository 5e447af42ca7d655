import type { Platform } from '../../../oci/platform.ts'
import type { PatternMatcher } from '../../context/pattern-matcher.ts'
import type { ArgInputs, GlobalScope } from '../arg-scope.ts'
import type { Dockerfile } from '../instruction.ts'
import type { ResolvedStage } from '../stage-graph.ts'
import type { Reporter } from './reporter.ts'

/** What checks know beside the file. Checks that need what is missing here are left out. */
export interface LintFacts {
  readonly args: ArgInputs
  /** undefined: all stages are looked at. */
  readonly target: string | undefined
  /** The names of --build-context. */
  readonly contexts: ReadonlySet<string>
  /** What is known of the images that stages are built on, by stage index. */
  readonly bases: ReadonlyMap<number, BaseFacts>
  /** Of the main context; undefined when it has no ignore file. */
  readonly ignore: PatternMatcher | undefined
  readonly platforms: { readonly build: Platform; readonly target: Platform }
}

export interface BaseFacts {
  readonly env: readonly string[]
  readonly hasShell: boolean
  readonly platform: Platform
}

/** What all checks over stages share. */
export interface LintContext {
  readonly dockerfile: Dockerfile
  readonly lines: readonly string[]
  readonly facts: LintFacts
  readonly global: GlobalScope
  readonly stages: readonly ResolvedStage[]
  /** The target, or the last stage. */
  readonly target: number
  /** The stages looked at. */
  readonly checked: ReadonlySet<number>
  readonly reporter: Reporter
}
