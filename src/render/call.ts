import type { CallAnswer, ContextReport, DockerfileSource, LintResult, Outline, TargetListing, Warning } from '../../builder/index.ts'
import { renderExcerpt } from './excerpt.ts'
import { formatBytes, printable } from './format.ts'

/** The answer to --call and --print-context, as lines for people. */
export function renderAnswer(answer: CallAnswer): string[] {
  switch (answer.method) {
    case 'check': return renderCheck(answer.result, answer.source)
    case 'outline': return renderOutline(answer.outline)
    case 'targets': return renderTargets(answer.targets)
    case 'context': return renderContext(answer.report)
  }
}

/** The same for programs. */
export function encodeAnswer(answer: CallAnswer): string {
  switch (answer.method) {
    case 'check': return JSON.stringify({ source: answer.source.name, warnings: answer.result.warnings, ...(answer.result.error === undefined ? {} : { error: encodeError(answer.result.error) }) }, undefined, 2)
    case 'outline': return JSON.stringify(answer.outline, undefined, 2)
    case 'targets': return JSON.stringify(answer.targets, undefined, 2)
    case 'context': return JSON.stringify(answer.report, undefined, 2)
  }
}

/** Docker's: findings of any kind make the command fail. */
export function answerExitCode(answer: CallAnswer): number {
  return answer.method === 'check' && (answer.result.warnings.length > 0 || answer.result.error !== undefined) ? 1 : 0
}

export function renderWarning({ rule, level, message, description, range, suggestion }: Warning, source: DockerfileSource): string[] {
  return [
    `${level === 'error' ? 'ERROR' : 'WARNING'}: ${rule}: ${printable(message)}${suggestion === undefined ? '' : `; did you mean "${printable(suggestion)}"?`}`,
    description,
    ...(range === undefined ? [] : renderExcerpt({ source, range })),
    '',
  ]
}

function renderCheck({ warnings, error }: LintResult, source: DockerfileSource): string[] {
  const count = warnings.length === 0 ? 'no warnings' : warnings.length === 1 ? '1 warning' : `${warnings.length} warnings`
  return [
    `Check complete, ${count}${error === undefined ? '' : ', and an error'}`,
    ...(warnings.length > 0 || error !== undefined ? [''] : []),
    ...warnings.flatMap((warning) => renderWarning(warning, source)),
    ...(error === undefined ? [] : [`ERROR: ${printable(error.problem)}`, ...renderExcerpt(error), ...(error.remedy === undefined ? [] : [`hint: ${printable(error.remedy)}`])]),
  ]
}

function encodeError({ rule, problem, remedy, suggestion, range }: NonNullable<LintResult['error']>): object {
  return { rule, problem, remedy, suggestion, range }
}

function renderOutline({ target, args, secrets, ssh }: Outline): string[] {
  const mounts = (items: Outline['secrets']): string[][] => items.map(({ id, isRequired }) => [id, isRequired ? 'required' : ''])
  return [
    `TARGET: ${target.name ?? String(target.index)}`,
    ...(target.description === undefined ? [] : [`DESCRIPTION: ${printable(target.description)}`]),
    ...table('BUILD ARG', ['VALUE', 'DESCRIPTION'], args.map(({ name, value, description }) => [name, value ?? '', description ?? ''])),
    ...table('SECRET', ['REQUIRED'], mounts(secrets)),
    ...table('SSH', ['REQUIRED'], mounts(ssh)),
  ]
}

function renderTargets(targets: readonly TargetListing[]): string[] {
  return table('TARGET', ['BASE', 'DESCRIPTION'], targets.map(({ name, index, isDefault, base, description }) => [`${name ?? String(index)}${isDefault ? ' (default)' : ''}`, base, description ?? ''])).slice(1)
}

function renderContext({ files, directories, others, sizeBytes, largest }: ContextReport): string[] {
  return [
    `${files} files, ${directories} directories${others === 0 ? '' : `, ${others} others`}, ${formatBytes(sizeBytes)}`,
    ...largest.map(({ path, sizeBytes: size }) => `${formatBytes(size).padStart(10)}  ${printable(path)}`),
  ]
}

/** Nothing for no rows; else an empty line, the heads and the rows. */
function table(first: string, heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return []
  const lines = [[first, ...heads], ...rows]
  const widths = [first, ...heads].map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)))
  return ['', ...lines.map((line) => line.map((cell, column) => printable(cell).padEnd(widths[column] ?? 0)).join('  ').trimEnd())]
}
