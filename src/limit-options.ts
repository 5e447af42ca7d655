import type { Limits } from '../runtime/index.ts'
import type { OptionSpec, OptionValues } from './command.ts'
import { UsageError } from './errors.ts'
import { parseCpus, parsePositive, parseSize } from './option-values.ts'

/** The limits that `build` and `run` share. */
export const limitOptions: readonly OptionSpec[] = [
  { name: 'memory', short: 'm', value: 'SIZE', help: 'Memory limit, 512m or 2g' },
  { name: 'memory-swap', value: 'SIZE', help: 'Limit of memory and swap together; -1 for unlimited swap' },
  { name: 'cpus', value: 'NUMBER', help: 'Processor time, 1.5 is one and a half processors' },
  { name: 'pids-limit', value: 'N', help: 'Most processes at a time; -1 for unlimited' },
]

/** @throws {UsageError} */
export function parseLimits(options: OptionValues): Limits {
  const memoryBytes = parseSize(options, 'memory')
  const memorySwapBytes = options.text('memory-swap') === '-1' ? -1 : parseSize(options, 'memory-swap')
  const cpus = parseCpus(options, 'cpus')
  const pids = ['-1', '0'].includes(options.text('pids-limit') ?? '') ? undefined : parsePositive(options, 'pids-limit')
  if (memorySwapBytes !== undefined && memoryBytes === undefined) throw new UsageError('option --memory-swap needs --memory')
  if (memoryBytes !== undefined && memorySwapBytes !== undefined && memorySwapBytes !== -1 && memorySwapBytes < memoryBytes) {
    throw new UsageError('option --memory-swap counts memory and swap together, so it cannot be smaller than --memory')
  }
  return {
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(memorySwapBytes === undefined ? {} : { memorySwapBytes }),
    ...(cpus === undefined ? {} : { cpus }),
    ...(pids === undefined ? {} : { pids }),
  }
}
