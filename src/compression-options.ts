import type { BlobOptions } from '../builder/index.ts'
import type { OptionSpec, OptionValues } from './command.ts'
import { UsageError } from './errors.ts'
import { parseChoice, parsePositive } from './option-values.ts'

export const compressionOptions: readonly OptionSpec[] = [
  { name: 'compression', aliases: ['compression-format'], value: 'FORMAT', help: 'Of layers that are not compressed yet: gzip (default), zstd or none' },
  { name: 'compression-level', value: 'N', help: '1 to 9 for gzip by zlib (default: ISA-L where it is installed, else 6), 1 to 22 for zstd (default 3)' },
  { name: 'force-compression', help: 'Also compress layers anew that are compressed otherwise, such as those of the base image' },
  { name: 'format', value: 'FORMAT', help: 'Media types of the manifest: oci (default) or docker' },
]

const highestLevels = { gzip: 9, zstd: 22, none: 0 } as const

/** @throws {UsageError} */
export function parseCompression(options: OptionValues): BlobOptions {
  const compression = parseChoice(options, 'compression', ['gzip', 'zstd', 'none']) ?? 'gzip'
  const level = parsePositive(options, 'compression-level')
  if (level !== undefined && level > highestLevels[compression]) {
    throw new UsageError(compression === 'none' ? '--compression-level needs a compression' : `option --compression-level takes 1 to ${highestLevels[compression]} for ${compression}, not "${level}"`)
  }
  return { compression, level, isForced: options.has('force-compression'), mediaTypes: parseChoice(options, 'format', ['oci', 'docker']) ?? 'oci' }
}
