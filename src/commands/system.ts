import { removeBridge, removeStaleCgroups } from '../../runtime/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { UsageError } from '../errors.ts'
import { foreignOptions } from '../foreign-options.ts'

export const systemCommand: CommandSpec = {
  name: 'system',
  operands: 'prune',
  minOperands: 1,
  maxOperands: 1,
  summary: 'Remove what dead processes of tsbuild left on this host, and the bridge when nobody uses it',
  options: [{ name: 'force', short: 'f', help: 'As in docker; nothing is ever asked' }],
  foreignOptions: foreignOptions.system,
  examples: ['tsbuild system prune'],
  run,
}

/** Devices and network namespaces of containers die with them: only cgroups and the bridge can be left. */
async function run({ operands: [word = ''] }: CommandInput, app: App): Promise<number> {
  if (word !== 'prune') throw new UsageError(`"tsbuild system" knows prune, not "${word}"`)
  for (const folder of removeStaleCgroups()) app.print(`removed cgroup ${folder}`)
  app.print(await removeBridge() ? 'removed bridge tsbuild0 and its rules' : 'no unused bridge')
  return 0
}
