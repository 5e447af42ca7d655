import { quote } from '../errors.ts'
import type { FromInstruction } from '../instruction.ts'
import type { Statement } from './statement.ts'
import { argumentWords, refuse, refuseWord, statementFlags } from './statement.ts'

export function parseFrom(statement: Statement): FromInstruction {
  const words = argumentWords(statement)
  const [base, as, name] = words
  if (base === undefined || (words.length !== 1 && (words.length !== 3 || as?.text.toLowerCase() !== 'as'))) {
    const flag = words.find(({ text }) => text.startsWith('--'))
    return refuse(statement, {
      rule: 'argument-count',
      problem: `FROM has ${words.length === 0 ? 'no image' : `${words.length} arguments that are not of the form image AS name`}`,
      remedy: flag === undefined ? 'write FROM image, or FROM image AS name' : `put ${flag.text} before the image`,
    })
  }
  const platform = statementFlags(statement, { text: ['platform'] }).text('platform')
  if (name !== undefined && !/^[a-z][a-z0-9-_.]*$/u.test(name.text.toLowerCase())) {
    refuseWord(statement, name, {
      rule: 'stage',
      problem: `${quote(name.text)} cannot be the name of a stage`,
      remedy: 'begin it with a letter and go on with letters, digits, -, _ and .',
    })
  }
  return { kind: 'FROM', ...statement.base, base, name, platform }
}
