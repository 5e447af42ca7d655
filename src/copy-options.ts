import type { Platform } from '../oci/platform.ts'
import type { OptionSpec, OptionValues } from './command.ts'
import { UsageError } from './errors.ts'
import { askedPlatform, parsePositive } from './option-values.ts'

export const copyOptions: readonly OptionSpec[] = [
  { name: 'all', short: 'a', help: 'The index with the images of all platforms' },
  { name: 'platform', value: 'OS/ARCH[/VARIANT]', help: 'Which image of several platforms (default: this machine\'s); one that is for another only is refused' },
  { name: 'max-concurrent', value: 'N', help: 'Blobs at a time (default 4)' },
]

/** @throws {UsageError} */
export function parseCopy(options: OptionValues): { readonly platform: Platform | 'all' | undefined; readonly maxConcurrent: number } {
  if (options.has('all') && options.has('platform')) throw new UsageError('--all and --platform exclude each other')
  return { platform: options.has('all') ? 'all' : askedPlatform(options), maxConcurrent: parsePositive(options, 'max-concurrent') ?? 4 }
}
