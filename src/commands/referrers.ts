import { createTask } from '../../core/task.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { findDigest } from '../find-digest.ts'

export const referrersCommand: CommandSpec = {
  name: 'referrers',
  operands: 'NAME',
  minOperands: 1,
  maxOperands: 1,
  summary: 'List what a registry has that refers to an image or index: signatures, SBOMs and the like, as digest, kind and size',
  options: [
    { name: 'artifact-type', value: 'TYPE', help: 'Only those of this kind' },
    { name: 'json', help: 'As a JSON list of descriptors' },
  ],
  examples: ['tsbuild referrers registry.example/app:1', 'tsbuild referrers --artifact-type application/spdx+json registry.example/app:1'],
  run: referrers,
}

async function referrers({ operands: [name = ''], options }: CommandInput, app: App): Promise<number> {
  const { askInTurn } = await import('../../builder/index.ts')
  const { openRegistryAccess } = await import('../../registry-client/index.ts')
  const task = createTask(app)
  const registries = await openRegistryAccess(app.env)
  const isSure = registries.references(name).length === 1
  const found = await askInTurn(registries, name, async (client, reference) => {
    // What refers to a digest may be there before that is.
    const digest = isSure && reference.digest !== undefined ? reference.digest : await findDigest(client, reference, task)
    return client.catalog.referrers({ ...reference, tag: undefined, digest }, options.text('artifact-type'), task)
  })
  if (options.has('json')) app.print(JSON.stringify(found, undefined, 2))
  else for (const each of found) app.print(`${each.digest} ${each.artifactType ?? each.mediaType} ${each.size}`)
  return 0
}
