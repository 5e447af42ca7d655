import { defaultRoot } from '../../builder/index.ts'
import { diagnoseHost } from '../../runtime/index.ts'
import type { Finding } from '../../runtime/index.ts'
import type { CommandSpec } from '../command.ts'

export const doctorCommand: CommandSpec = {
  name: 'doctor',
  operands: '',
  minOperands: 0,
  maxOperands: 0,
  summary: 'Say what this host offers and lacks, with the remedy; exit code 6 when no build can run',
  options: [{ name: 'json', help: 'Print a JSON document' }],
  examples: ['tsbuild doctor'],
  run: ({ options }, app) => {
    const findings = diagnoseHost(defaultRoot(app.env), app.env)
    if (options.has('json')) app.print(JSON.stringify(findings, undefined, 2))
    else for (const finding of findings) app.print(describe(finding))
    return Promise.resolve(findings.some(({ state }) => state === 'blocking') ? hostExitCode : 0)
  },
}

/** As errors that this host is the reason of. */
const hostExitCode = 6

const marks: Readonly<Record<Finding['state'], string>> = { ok: 'ok     ', lacking: 'lacking', blocking: 'MISSING' }

function describe({ what, state, detail, remedy }: Finding): string {
  const words = detail === '' ? what : `${what}: ${detail}`
  return `${marks[state]}  ${words}${remedy === undefined ? '' : `\n         ${remedy}`}`
}
