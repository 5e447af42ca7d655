import { DockerfileError } from '../errors.ts'
import type { Dockerfile, Instruction, SourceRange, Word } from '../instruction.ts'
import { findNearest } from '../../../core/nearest.ts'
import { readDirectives } from '../syntax/directives.ts'
import type { CheckOptions } from './check-options.ts'
import { noOptions, parseCheckOptions } from './check-options.ts'
import type { RuleName, Warning } from './warning.ts'
import { isExperimental, isRuleName, rules } from './warning.ts'

export interface Finding {
  readonly message: string
  readonly range: SourceRange | undefined
  /** What to write instead. */
  readonly suggestion?: string | undefined
  /** Where the suggestion is what is nearest to something written. */
  readonly nearest?: { readonly written: string; readonly candidates: Iterable<string> } | undefined
}

/** Looking for what was meant costs time with every candidate, and nobody reads hundreds of suggestions. */
const maxSearches = 200

/** Collects what checks find and leaves out what the file does not want to hear. */
export class Reporter {
  readonly warnings: Warning[] = []
  readonly #dockerfile: Dockerfile
  readonly #options: CheckOptions
  readonly #ofInstruction = new Map<Instruction, CheckOptions>()
  #searches = 0

  /**
   * `override` is BUILDKIT_DOCKERFILE_CHECK, which takes the place of the directive.
   * @throws {DockerfileError} when either is malformed
   */
  constructor(dockerfile: Dockerfile, override: string | undefined) {
    this.#dockerfile = dockerfile
    const { source } = dockerfile
    const directive = readDirectives(source).words.get('check')
    const start = { startLine: 1, startColumn: 0, endLine: 1, endColumn: 0 }
    const text = override ?? directive?.text ?? ''
    const range = override === undefined ? directive?.range : undefined
    this.#options = parseCheckOptions(text, { source, range: range ?? start })
    this.#reportUnknown(this.#options, range)
  }

  /** `instruction` is the one whose comments may silence the finding. */
  report(rule: RuleName, finding: Finding, instruction?: Instruction): void {
    const own = instruction === undefined ? noOptions : this.#optionsOf(instruction)
    const isOff = isExperimental(rule)
      ? !isNamed(this.#options.experimental, rule) && !isNamed(own.experimental, rule)
      : isNamed(this.#options.skip, rule) || isNamed(own.skip, rule)
    if (isOff) return
    this.warnings.push({
      rule,
      level: this.#options.isError || own.isError ? 'error' : 'warning',
      description: rules[rule].description,
      message: finding.message,
      range: finding.range,
      suggestion: finding.suggestion ?? this.#findNearest(finding.nearest),
    })
  }

  #findNearest(nearest: Finding['nearest']): string | undefined {
    this.#searches += nearest === undefined ? 0 : 1
    return nearest === undefined || this.#searches > maxSearches ? undefined : findNearest(nearest.written, nearest.candidates)
  }

  /** The first check comment counts, as in BuildKit, which passes over a malformed one without a word. */
  #optionsOf(instruction: Instruction): CheckOptions {
    const known = this.#ofInstruction.get(instruction)
    if (known !== undefined) return known
    this.#ofInstruction.set(instruction, noOptions)
    const comment = instruction.comments.find(isCheckComment)
    const options = comment === undefined ? noOptions : this.#readComment(comment)
    this.#ofInstruction.set(instruction, options)
    if (comment !== undefined) this.#reportUnknown(options, comment.range)
    return options
  }

  #readComment({ text, range }: Word): CheckOptions {
    try {
      return parseCheckOptions(text.replace(/^check\s*=\s*/iu, ''), { source: this.#dockerfile.source, range })
    } catch (error) {
      if (!(error instanceof DockerfileError)) throw error
      this.report('InvalidCheckOption', { message: error.problem, range: error.range })
      return noOptions
    }
  }

  /** Reads the check comments of every instruction, so that wrong ones are found where no check strikes. */
  readAllComments(instructions: Iterable<Instruction>): void {
    for (const instruction of instructions) this.#optionsOf(instruction)
  }

  #reportUnknown({ skip, experimental }: CheckOptions, range: SourceRange | undefined): void {
    for (const names of [skip, experimental]) {
      for (const name of names === 'all' ? [] : names) {
        if (isRuleName(name)) continue
        this.report('InvalidCheckOption', { message: `There is no check ${name}`, range, nearest: { written: name, candidates: Object.keys(rules) } })
      }
    }
  }
}

export function isCheckComment(comment: Word): boolean {
  return /^check\s*=/iu.test(comment.text)
}

function isNamed(names: ReadonlySet<string> | 'all', rule: RuleName): boolean {
  return names === 'all' || names.has(rule)
}
