import type { Task } from '../../core/task.ts'
import { createTask } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { isIndexType } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Platform } from '../../oci/platform.ts'
import { formatPlatform } from '../../oci/platform.ts'
import type { Reference, RegistryClient } from '../../registry-client/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { findDigest } from '../find-digest.ts'

export const referrersCommand: CommandSpec = {
  name: 'referrers',
  operands: 'NAME',
  minOperands: 1,
  maxOperands: 1,
  summary: 'List what a registry has that refers to an image or index, or to an image of the index: signatures, SBOMs and the like, as digest, kind, size, and the platform of the image',
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
    const list = (subject: Digest): Promise<Descriptor[]> => client.catalog.referrers({ ...reference, tag: undefined, digest: subject }, options.text('artifact-type'), task)
    const own = (await list(digest)).map((each): Referrer => ({ ...each, subject: digest }))
    const ofMembers = await Promise.all((await members(client, { ...reference, digest }, task)).map(async (member) => (await list(member.digest)).map((each): Referrer => ({ ...each, subject: member.digest, platform: member.platform }))))
    return [...own, ...ofMembers.flat()]
  })
  if (options.has('json')) app.print(JSON.stringify(found, undefined, 2))
  else for (const { digest, artifactType, mediaType, size, platform } of found) app.print([digest, artifactType ?? mediaType, String(size), ...platform === undefined ? [] : [formatPlatform(platform)]].join(' '))
  return 0
}

/** With what it refers to, and whose image that is. */
type Referrer = Omit<Descriptor, 'platform'> & { readonly subject: Digest; readonly platform?: Platform | undefined }

/** The images of an index. Attestations lie in it too, and nothing refers to them. */
async function members(client: RegistryClient, reference: Reference, task: Task): Promise<Descriptor[]> {
  const found = await client.resolve(reference, task)
  if (found === undefined || !isIndexType(found.mediaType)) return []
  const { document } = await client.fetchManifest(reference, task)
  return document.kind === 'index' ? document.index.manifests.filter(({ platform }) => platform?.os !== 'unknown') : []
}
