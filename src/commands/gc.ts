import { loadConfig } from '../config.ts'
import type { CommandSpec } from '../command.ts'
import { parsePolicy, policyOptions, policyTexts, saysAnything } from '../prune-options.ts'
import { outputOptions, removeByPolicies } from '../remove-by-policies.ts'

export const gcCommand: CommandSpec = {
  name: 'gc',
  operands: '',
  minOperands: 0,
  maxOperands: 0,
  summary: `Remove what nothing uses, and what the options choose; without options what section gc of the configuration file chooses.
For cron: safe beside running builds, at low priority, exit code 1 when a budget cannot be reached. What is chosen:
  1. nothing that a running process uses
  2. images, cache entries and cache mounts that pass every --filter
  3. without the newest of each repository, with --keep-last
  4. with budgets the least recently used of these until every budget holds, else all of them
and then every blob and layer that no image, cache entry or running process needs.`,
  options: [...policyOptions, ...outputOptions],
  examples: ['tsbuild gc --dry-run', 'tsbuild gc -q --min-free-inodes 10% --min-free-bytes 10% --keep-last 3'],
  run: async (input, app) => {
    const given = policyTexts(input, 'all')
    const texts = saysAnything(given) ? [given] : (await loadConfig(app.env)).gc
    return removeByPolicies(texts.map((each) => parsePolicy(each, Date.now())), input, app)
  },
}
