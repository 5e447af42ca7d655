/**
 * npm run faults:clocks [-- --json]
 * Each operation under a clock that stands elsewhere or jumps: before the epoch, in 1970, 2038, 2106 and the year 10000, back and forth by a
 * century at every look. The clock is that of the process alone; what it tells is all the store goes by. After each, all must hold that
 * holds after any other fault, also for those whose clock is right.
 */
/* eslint-disable no-console -- a program that reports to whoever started it */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { judge, TrialStores } from './trial-stores.ts'

const { values } = parseArgs({ options: { operations: { type: 'string', default: 'pull,apply,run,commit,image,gc,fsck,repair' }, json: { type: 'boolean', default: false } } })
const clocks = ['-3600000', '0', '1', '2147483648000', '4294967296000', '253402300800000', 'jumping']

using stores = await TrialStores.create()
const failures: { readonly operation: string; readonly clock: string; readonly problem: string }[] = []
let trials = 0
for (const operation of values.operations.split(',')) {
  const reference = await stores.prepare(operation)
  for (const clock of clocks) {
    trials += 1
    const root = stores.copy(reference.template, 'trial')
    const [file = '', ...args] = stores.command(root, operation)
    const { status, stdout, stderr } = spawnSync(file, ['--import', join(import.meta.dirname, 'other-clock.ts'), ...args], { env: { ...stores.env, TEST_CLOCK: clock }, encoding: 'utf8', timeout: 60_000 })
    const isSame = status === 0 && stdout === `${reference.output}\n`
    const problem = isSame ? await judge(root, stdout, reference) : `it ends with ${status ?? 'a signal'} and says ${stdout}${stderr.slice(-400)}`
    if (problem !== undefined) failures.push({ operation, clock, problem })
  }
}
console.log(values.json ? JSON.stringify({ trials, failures }) : [...failures.map((failure) => JSON.stringify(failure)), `${trials} trials, ${failures.length} problems`].join('\n'))
process.exitCode = failures.length === 0 ? 0 : 1
