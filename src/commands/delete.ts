import { createTask } from '../../core/task.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { UsageError } from '../errors.ts'
import { findDigest } from '../find-digest.ts'

export const deleteCommand: CommandSpec = {
  name: 'delete',
  operands: 'NAME',
  minOperands: 1,
  maxOperands: 1,
  summary: 'Delete an image or index from its registry: NAME:TAG takes the tag away, NAME@DIGEST the manifest and all its tags',
  options: [
    { name: 'manifest', help: 'Of NAME:TAG too the manifest and all its tags, which is all that some registries can do' },
  ],
  examples: ['tsbuild delete registry.example/app:1', 'tsbuild delete --manifest registry.example/app:1'],
  run: deleteRemote,
}

async function deleteRemote({ operands: [name = ''], options }: CommandInput, app: App): Promise<number> {
  const { formatReference, isQualified, openRegistryAccess, parseReference } = await import('../../registry-client/index.ts')
  const reference = parseReference(name, { defaultTag: undefined })
  if (reference.tag === undefined && reference.digest === undefined) throw new UsageError(`delete "${name}": a tag or digest is wanted, so that nobody deletes "latest" unawares`)
  const { client, references } = await openRegistryAccess(app.env)
  if (!isQualified(name)) throw new UsageError(`delete "${name}": a name with its registry is wanted, as in ${references(name).map(formatReference).join(' or ')}`)
  const task = createTask(app)
  const target = options.has('manifest') ? { ...reference, tag: undefined, digest: reference.digest ?? await findDigest(client, reference, task) } : reference
  await client.catalog.deleteManifest(target, task)
  app.print(`deleted ${formatReference(target)}`)
  return 0
}
