import { resolve } from 'node:path'
import type { CacheSource, CacheTarget } from '../builder/index.ts'
import { Attributes } from './attribute-list.ts'
import type { OptionSpec } from './command.ts'
import { UsageError } from './errors.ts'

export const cacheOptions: readonly OptionSpec[] = [
  { name: 'cache-from', value: 'SPEC', isRepeatable: true, help: 'Look results up here too: type=registry,ref=NAME, type=local,src=FOLDER[,tag=TAG], or a name' },
  { name: 'cache-to', value: 'SPEC', isRepeatable: true, help: 'Write the cache: type=inline, type=registry,ref=NAME or type=local,dest=FOLDER, with mode=min|max, compression=gzip|zstd, reset=true, ignore-error=true' },
]

/** @throws {UsageError} */
export function parseCacheFrom(texts: readonly string[]): CacheSource[] {
  return texts.map((text) => {
    const attributes = new Attributes(text.includes('=') ? text : `type=registry,ref=${text}`, 'cache-from')
    const type = attributes.word('type', ['registry', 'local'])
    if (type === undefined) throw new UsageError(`option --cache-from needs a type in "${text}"`)
    const source = readPlace(type, attributes, { option: 'cache-from', folderKey: 'src' })
    attributes.finish()
    return source
  })
}

/** @throws {UsageError} */
export function parseCacheTo(texts: readonly string[]): CacheTarget[] {
  return texts.map((text) => {
    const attributes = new Attributes(text.includes('=') ? text : text === 'inline' ? 'type=inline' : `type=registry,ref=${text}`, 'cache-to')
    const type = attributes.word('type', ['inline', 'registry', 'local'])
    if (type === undefined) throw new UsageError(`option --cache-to needs a type in "${text}"`)
    const target = type === 'inline' ? { type } : {
      ...readPlace(type, attributes, { option: 'cache-to', folderKey: 'dest' }),
      mode: attributes.word('mode', ['min', 'max']) ?? 'min',
      compression: attributes.word('compression', ['gzip', 'zstd']) ?? 'gzip',
      isReset: attributes.isOn('reset') ?? false,
      ignoresErrors: attributes.isOn('ignore-error') ?? false,
    }
    attributes.finish()
    return target
  })
}

function readPlace(type: CacheSource['type'], attributes: Attributes, { option, folderKey }: { readonly option: string; readonly folderKey: string }): CacheSource {
  const key = type === 'registry' ? 'ref' : folderKey
  const value = attributes.text(key)
  if (value === undefined || value === '') throw new UsageError(`option --${option} type=${type} needs ${key}=`)
  return type === 'registry' ? { type, name: value } : { type, folder: resolve(value), tag: attributes.text('tag') ?? 'latest' }
}
