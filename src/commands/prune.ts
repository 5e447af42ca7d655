import type { CommandSpec } from '../command.ts'
import { foreignOptions } from '../foreign-options.ts'
import { parsePolicy, policyKeys, policyOptions, policyTexts } from '../prune-options.ts'
import { outputOptions, removeByPolicies } from '../remove-by-policies.ts'

/** Filters that nothing dangling passes. */
const named: readonly string[] = ['type=mount', 'dangling=false', 'dangling=0']

export const pruneCommand: CommandSpec = {
  name: 'prune',
  operands: '',
  minOperands: 0,
  maxOperands: 0,
  summary: `Remove images without a name, and cache entries of no image.
With --all, --keep-last, a budget or a filter by reference, type=mount or dangling=false: any image, cache entry and cache mount, as far as these choose it. Nothing
that a running process uses. "tsbuild gc --help" tells the order of choosing.`,
  options: [
    { name: 'all', short: 'a', help: 'Images with a name too, cache entries of images, and cache mounts' },
    { name: 'force', short: 'f', help: 'As in docker; nothing is ever asked' },
    ...policyOptions,
    ...outputOptions,
  ],
  foreignOptions: foreignOptions.prune,
  examples: ['tsbuild prune', 'tsbuild prune -a --filter until=48h --dry-run'],
  run: async (input, app) => {
    const { options } = input
    const isWide = options.has('all') || policyKeys.some((key) => options.has(key)) || options.texts('filter').some((filter) => filter.startsWith('reference=') || named.includes(filter))
    return removeByPolicies([parsePolicy(policyTexts(input, isWide ? 'all' : 'dangling'), Date.now())], input, app)
  },
}
