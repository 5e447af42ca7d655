import { resolve } from 'node:path'
import type { SecretSource } from '../builder/index.ts'
import { UsageError } from './errors.ts'

const secretKeys = ['id', 'src', 'source', 'env', 'type'] as const

/**
 * `--secret id=token,src=FILE`, `id=token,env=NAME`, `type=env,id=NAME` or `id=token` alone, which is a variable of that
 * name, or else a file.
 * @throws {UsageError}
 */
export function parseSecrets(texts: readonly string[], env: NodeJS.ProcessEnv): Record<string, SecretSource> {
  return Object.fromEntries(texts.map((text): [string, SecretSource] => {
    const fields = parseFields(text)
    const id = fields.get('id')
    if (id === undefined || id === '') throw new UsageError(`option --secret needs an id: id=NAME,src=FILE, not "${text}"`)
    return [id, secretSource(id, fields, env)]
  }))
}

function parseFields(text: string): Map<string, string> {
  return new Map(text.split(',').map((field): [string, string] => {
    const equals = field.indexOf('=')
    const key = secretKeys.find((known) => known === field.slice(0, Math.max(equals, 0)).toLowerCase())
    if (key === undefined) throw new UsageError(`option --secret takes id=NAME,src=FILE or id=NAME,env=NAME, not "${text}"`)
    return [key === 'source' ? 'src' : key, field.slice(equals + 1)]
  }))
}

function secretSource(id: string, fields: ReadonlyMap<string, string>, env: NodeJS.ProcessEnv): SecretSource {
  const type = fields.get('type') ?? (fields.has('env') ? 'env' : undefined)
  if (type !== undefined && type !== 'env' && type !== 'file') throw new UsageError(`option --secret has the types file and env, not "${type}"`)
  const name = fields.get('env') ?? fields.get('src') ?? id
  const value = env[name]
  if (type === 'env' || (type === undefined && !fields.has('src') && value !== undefined)) {
    if (value === undefined) throw new UsageError(`option --secret id=${id}: the environment has no "${name}"`)
    return { kind: 'value', value: Buffer.from(value) }
  }
  return { kind: 'file', path: resolve(fields.get('src') ?? id) }
}

/**
 * `--ssh default`, `--ssh id`, `--ssh id=SOCKET`, `--ssh id=KEY[,KEY]`.
 * @throws {UsageError}
 */
export function parseSshAgents(texts: readonly string[], env: NodeJS.ProcessEnv): Record<string, string[]> {
  return Object.fromEntries(texts.map((text): [string, string[]] => {
    const equals = text.indexOf('=')
    const id = equals === -1 ? text : text.slice(0, equals)
    const paths = equals === -1 ? env['SSH_AUTH_SOCK'] : text.slice(equals + 1)
    if (id === '' || id.includes(',') || (equals !== -1 && paths?.split(',').includes('') === true)) throw new UsageError(`option --ssh takes ID, ID=SOCKET or ID=KEY[,KEY], not "${text}"`)
    if (paths === undefined || paths === '') throw new UsageError(`option --ssh ${id}: the environment has no SSH_AUTH_SOCK; start ssh-agent, or name its socket or a key: --ssh ${id}=SOCKET`)
    return [id, paths.split(',').map((path) => resolve(path))]
  }))
}
