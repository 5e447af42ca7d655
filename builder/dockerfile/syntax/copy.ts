import type { AddInstruction, CopyInstruction, CopySource, Word } from '../instruction.ts'
import { readJsonForm } from './json-form.ts'
import type { Span } from './logical-line.ts'
import { wordOf } from './logical-line.ts'
import type { Statement } from './statement.ts'
import { keywordOf, refuse, refuseWord, statementFlags } from './statement.ts'
import { splitAtBlanks } from './words.ts'

export function parseCopy(statement: Statement): CopyInstruction {
  const flags = statementFlags(statement, { text: ['from', 'chown', 'chmod'], boolean: ['link', 'parents'], list: ['exclude'] })
  const from = flags.text('from')
  if (from !== undefined && /\$./u.test(from.text)) {
    refuseWord(statement, from, {
      rule: 'stage',
      problem: 'COPY --from takes no variables',
      remedy: 'name the image in a stage of its own, FROM $image AS name, and copy from that',
    })
  }
  return {
    kind: 'COPY', ...statement.base, ...readPaths(statement), from,
    chown: flags.text('chown'), chmod: flags.text('chmod'), excludes: flags.list('exclude'),
    link: flags.boolean('link') ?? false, parents: flags.boolean('parents') ?? false,
  }
}

export function parseAdd(statement: Statement): AddInstruction {
  const flags = statementFlags(statement, { text: ['chown', 'chmod', 'checksum'], boolean: ['link', 'keep-git-dir', 'unpack'], list: ['exclude'] })
  return {
    kind: 'ADD', ...statement.base, ...readPaths(statement),
    chown: flags.text('chown'), chmod: flags.text('chmod'), checksum: flags.text('checksum'), excludes: flags.list('exclude'),
    link: flags.boolean('link') ?? false, keepGitDir: flags.boolean('keep-git-dir'), unpack: flags.boolean('unpack'),
  }
}

function readPaths(statement: Statement): { readonly sources: readonly CopySource[]; readonly destination: Word } {
  const items = readJsonForm(statement)?.map((path): CopySource => ({ kind: 'path', path })) ?? readListed(statement)
  const last = items.at(-1)
  if (last === undefined || items.length < 2) {
    return refuse(statement, {
      rule: 'argument-count',
      problem: `${keywordOf(statement)} has ${items.length === 0 ? 'no arguments' : 'no destination'}`,
      remedy: `write ${keywordOf(statement)} source destination`,
    })
  }
  if (last.kind === 'heredoc') {
    const opening = statement.openings.at(-1)
    return refuse(statement, { rule: 'heredoc', problem: `${keywordOf(statement)} cannot copy to a here-document`, remedy: 'put the destination last' }, opening)
  }
  return { sources: items.slice(0, -1), destination: last.path }
}

/** Words at blanks, except that what opens a here-document is one word, quotes, blanks and all. */
function readListed({ line, args, openings, heredocs }: Statement): CopySource[] {
  const items: CopySource[] = []
  const addPaths = ({ start, end }: Span): void => {
    for (const span of splitAtBlanks(line.text, start, end)) items.push({ kind: 'path', path: wordOf(line, span) })
  }
  let position = args.start
  for (const [index, opening] of openings.entries()) {
    addPaths({ start: position, end: opening.start })
    const heredoc = heredocs[index]
    if (heredoc !== undefined) items.push({ kind: 'heredoc', heredoc })
    position = opening.end
  }
  addPaths({ start: position, end: args.end })
  return items
}
