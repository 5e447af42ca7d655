import type { Dockerfile, Instruction, Stage } from '../instruction.ts'
import { isPolicy } from '../syntax/line-reader.ts'
import { skipSpace } from '../syntax/space.ts'
import type { Reporter } from './reporter.ts'
import { isCheckComment } from './reporter.ts'

/** The checks that need nothing but the text. */
export function checkFile(dockerfile: Dockerfile, reporter: Reporter): void {
  checkKeywordCasing(dockerfile, reporter)
  checkStageNames(dockerfile.stages, reporter)
  for (const { from } of dockerfile.stages) checkAsCasing(from.source, from, reporter)
  const lines = dockerfile.source.text.split('\n')
  for (const instruction of everyInstruction(dockerfile)) {
    checkContinuation(lines, instruction, reporter)
    checkDescription(instruction, reporter)
    if (instruction.kind === 'MAINTAINER') {
      reporter.report('MaintainerDeprecated', { message: 'MAINTAINER is deprecated: write LABEL org.opencontainers.image.authors=…', range: instruction.range }, instruction)
    }
  }
}

export function* everyInstruction({ globalArgs, stages }: Dockerfile): Generator<Instruction> {
  yield* globalArgs
  for (const { from, instructions } of stages) {
    yield from
    yield* instructions
  }
}

/** The keyword as written. */
export function writtenKeyword({ source }: Instruction): string {
  return /^\S+/u.exec(source)?.[0] ?? ''
}

/** The majority decides, upper case when there is none; ARGs before the first FROM have no say. */
function checkKeywordCasing({ stages }: Dockerfile, reporter: Reporter): void {
  const instructions = stages.flatMap<Instruction>(({ from, instructions: rest }) => [from, ...rest])
  const keywords = instructions.map(writtenKeyword)
  const lower = keywords.filter((keyword) => keyword === keyword.toLowerCase()).length
  const upper = keywords.filter((keyword) => keyword !== keyword.toLowerCase() && keyword === keyword.toUpperCase()).length
  for (const instruction of instructions) {
    const keyword = writtenKeyword(instruction)
    const wanted = lower > upper ? keyword.toLowerCase() : keyword.toUpperCase()
    if (keyword === wanted) continue
    reporter.report('ConsistentInstructionCasing', {
      message: `${keyword} should be in ${lower > upper ? 'lower' : 'upper'} case, as most keywords of the file are`,
      range: { ...instruction.range, endLine: instruction.range.startLine, endColumn: instruction.range.startColumn + keyword.length },
      suggestion: wanted,
    }, instruction)
  }
}

function checkStageNames(stages: readonly Stage[], reporter: Reporter): void {
  const seen = new Set<string>()
  for (const { name, from } of stages) {
    if (name === undefined || from.name === undefined) continue
    const { text, range } = from.name
    if (text !== name) reporter.report('StageNameCasing', { message: `Stage name ${text} should be in lower case`, range, suggestion: name }, from)
    if (name === 'scratch' || name === 'context') reporter.report('ReservedStageName', { message: `Stage name ${name} is reserved`, range }, from)
    if (seen.has(name)) reporter.report('DuplicateStageName', { message: `Stage name ${name} is given twice: later lines mean the later stage`, range }, from)
    seen.add(name)
  }
}

/** A FROM of mixed case is ConsistentInstructionCasing's. */
function checkAsCasing(source: string, from: Instruction, reporter: Reporter): void {
  const keyword = writtenKeyword(from)
  const as = /\s(as)\s+\S+\s*$/iu.exec(source)?.[1]
  const isLower = keyword === keyword.toLowerCase()
  if (as === undefined || (!isLower && keyword !== keyword.toUpperCase())) return
  const wanted = isLower ? 'as' : 'AS'
  if (as !== wanted) reporter.report('FromAsCasing', { message: `${as} should be in the case of ${keyword}`, range: from.range, suggestion: wanted }, from)
}

/** Here-documents may hold blank lines; what stands before them may not. */
function checkContinuation(lines: readonly string[], instruction: Instruction, reporter: Reporter): void {
  const { startLine, endLine } = instruction.range
  const end = Math.min(endLine, ...heredocStarts(instruction).map((line) => line - 1))
  for (let number = startLine + 1; number < end; number += 1) {
    const line = lines[number - 1] ?? ''
    if (skipSpace(line, 0) < line.length) continue
    reporter.report('NoEmptyContinuation', {
      message: 'A blank line stands inside an instruction, which will be an error',
      range: { startLine: number, startColumn: 0, endLine: number, endColumn: line.length },
    }, instruction)
    return
  }
}

function heredocStarts(instruction: Instruction): number[] {
  if (instruction.kind === 'RUN' && instruction.command.form === 'shell') return instruction.command.heredocs.map(({ range }) => range.startLine)
  if (instruction.kind === 'COPY' || instruction.kind === 'ADD') return instruction.sources.flatMap((source) => source.kind === 'heredoc' ? source.heredoc.range.startLine : [])
  // A trigger's here-documents begin behind its first line, which is all that is one logical line.
  return instruction.kind === 'ONBUILD' && instruction.trigger.includes('\n') ? [instruction.range.startLine + 1] : []
}

function checkDescription(instruction: Instruction, reporter: Reporter): void {
  const names = instruction.kind === 'ARG' ? instruction.args.map(({ name }) => name.text) : instruction.kind === 'FROM' && instruction.name !== undefined ? [instruction.name.text.toLowerCase()] : []
  const comment = instruction.comments.findLast((other) => !isCheckComment(other) && !isPolicy(other))
  const [name] = names
  if (name === undefined || comment === undefined || names.includes(comment.text.split(' ', 1)[0] ?? '')) return
  reporter.report('InvalidDefinitionDescription', {
    message: `A comment above ${instruction.kind} should begin with ${names.length === 1 ? name : 'a name it declares'}; put a blank line between if it describes nothing`,
    range: comment.range,
  }, instruction)
}
