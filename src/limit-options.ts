import type { DeviceRate, Limits } from '../runtime/index.ts'
import type { OptionSpec, OptionValues } from './command.ts'
import { UsageError } from './errors.ts'
import { parseCpus, parsePositive, parseSize } from './option-values.ts'
import { parseBytes } from './render/format.ts'

/** The limits that `build` and `run` share. */
export const limitOptions: readonly OptionSpec[] = [
  { name: 'memory', short: 'm', value: 'SIZE', help: 'Memory limit, 512m or 2g' },
  { name: 'memory-swap', value: 'SIZE', help: 'Limit of memory and swap together; -1 for unlimited swap' },
  { name: 'memory-reservation', value: 'SIZE', help: 'Memory that stays the container\'s when the host runs short' },
  { name: 'memory-swappiness', value: 'N', help: 'How readily its memory is swapped, 0 to 100 (cgroups version 1 only)' },
  { name: 'cpus', value: 'NUMBER', help: 'Processor time, 1.5 is one and a half processors' },
  { name: 'cpu-shares', short: 'c', value: 'N', help: 'Processor time in proportion to others, 1024 is usual' },
  { name: 'cpuset-cpus', value: 'LIST', help: 'Processors, 0-2,7' },
  { name: 'cpuset-mems', value: 'LIST', help: 'Memory nodes, 0-1' },
  { name: 'pids-limit', value: 'N', help: 'Most processes at a time (RUN: 4096); -1 for unlimited' },
  { name: 'blkio-weight', value: 'N', help: 'Disk time in proportion to others, 10 to 1000' },
  { name: 'device-read-bps', value: 'DEVICE:SIZE', isRepeatable: true, help: 'Most bytes read from a disk a second' },
  { name: 'device-write-bps', value: 'DEVICE:SIZE', isRepeatable: true, help: 'Most bytes written to a disk a second' },
  { name: 'device-read-iops', value: 'DEVICE:N', isRepeatable: true, help: 'Most reads of a disk a second' },
  { name: 'device-write-iops', value: 'DEVICE:N', isRepeatable: true, help: 'Most writes to a disk a second' },
]

/** @throws {UsageError} */
export function parseLimits(options: OptionValues): Limits {
  const memoryBytes = parseSize(options, 'memory')
  // Without a limit of memory swap has none either.
  const memorySwapBytes = options.text('memory-swap') === '-1' ? (memoryBytes === undefined ? undefined : -1) : parseSize(options, 'memory-swap')
  const cpus = parseCpus(options, 'cpus')
  const pids = ['-1', '0'].includes(options.text('pids-limit') ?? '') ? -1 : parsePositive(options, 'pids-limit')
  const deviceRates = rateOptions.flatMap(({ name, operation, unit }) => options.texts(name).map((text) => parseRate(text, { name, operation, unit })))
  if (memorySwapBytes !== undefined && memoryBytes === undefined) throw new UsageError('option --memory-swap needs --memory')
  if (memoryBytes !== undefined && memorySwapBytes !== undefined && memorySwapBytes !== -1 && memorySwapBytes < memoryBytes) {
    throw new UsageError('option --memory-swap counts memory and swap together, so it cannot be smaller than --memory')
  }
  return {
    ...given('memoryBytes', memoryBytes), ...given('memorySwapBytes', memorySwapBytes), ...given('memoryReservationBytes', parseSize(options, 'memory-reservation')),
    ...given('memorySwappiness', parseWhole(options, 'memory-swappiness')), ...given('cpus', cpus), ...given('cpuShares', parsePositive(options, 'cpu-shares')),
    ...given('cpusetCpus', options.text('cpuset-cpus')), ...given('cpusetMems', options.text('cpuset-mems')), ...given('pids', pids),
    ...given('blkioWeight', parsePositive(options, 'blkio-weight')), ...(deviceRates.length === 0 ? {} : { deviceRates }),
  }
}

const rateOptions = (['read', 'write'] as const).flatMap((operation) => [
  { name: `device-${operation}-bps`, operation, unit: 'bytes' as const },
  { name: `device-${operation}-iops`, operation, unit: 'operations' as const },
])

function parseRate(text: string, { name, operation, unit }: typeof rateOptions[number]): DeviceRate {
  const colon = text.lastIndexOf(':')
  const amount = text.slice(colon + 1)
  const perSecond = unit === 'bytes' ? parseBytes(amount) : /^[1-9]\d{0,14}$/u.test(amount) ? Number(amount) : undefined
  if (colon < 1 || perSecond === undefined) throw new UsageError(`option --${name} takes DEVICE:${unit === 'bytes' ? 'SIZE' : 'N'}, /dev/sda:${unit === 'bytes' ? '1m' : '100'}, not "${text}"`)
  return { device: text.slice(0, colon), operation, unit, perSecond }
}

function parseWhole(options: OptionValues, name: string): number | undefined {
  return options.text(name) === '0' ? 0 : parsePositive(options, name)
}

/** A field that is there only when it has a value. */
function given<Name extends keyof Limits, Value>(name: Name, value: Value | undefined): Partial<Record<Name, Value>> {
  return value === undefined ? {} : { [name]: value } as Partial<Record<Name, Value>>
}
