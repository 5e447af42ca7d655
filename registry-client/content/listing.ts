import type { Task } from '../../core/task.ts'
import type { Json } from '../../oci/json.ts'
import { trustOf } from '../config/registries.ts'
import { InvalidAnswer, ManifestUnknown } from '../errors.ts'
import { repositoryScope } from '../http/scope.ts'
import type { Reference } from '../reference.ts'
import { isRepository, repositoryName } from '../reference.ts'
import type { Connections } from '../transfer/connections.ts'
import type { Place } from '../transfer/places.ts'
import { ownPlace } from '../transfer/places.ts'
import { readPages } from './pages.ts'

const pageSize = '1000'
const wellFormedTag = /^\w[\w.-]{0,127}$/u

/** The tags of a repository, as the registry orders them. @throws {ManifestUnknown} when there is no such repository */
export async function* listTags(connections: Connections, repository: Reference, task: Task): AsyncGenerator<string, void, undefined> {
  const place = ownPlace(repository, connections.registries)
  const what = `list tags of "${repositoryName(repository)}"`
  const list = { what, path: `/v2/${place.repository}/tags/list`, query: { n: pageSize }, scopes: [repositoryScope(place.repository, 'pull')], expect: [404] }
  for await (const { document } of readPages(connections, { place, list }, task)) {
    if (document === undefined) throw new ManifestUnknown(repositoryName(repository), place.host)
    for (const tag of texts(document['tags'], { what, host: place.host })) {
      if (!wellFormedTag.test(tag)) throw new InvalidAnswer(what, place.host, `sent ${JSON.stringify(tag.slice(0, 80))}, which is no tag`)
      yield tag
    }
  }
}

/** The repositories of a registry that lists them; most let only administrators see them all. */
export async function* listRepositories(connections: Connections, registry: string, task: Task): AsyncGenerator<string, void, undefined> {
  const place = registryPlace(connections, registry)
  const what = `list repositories of "${registry}"`
  const list = { what, path: '/v2/_catalog', query: { n: pageSize }, scopes: ['registry:catalog:*'] }
  for await (const { document } of readPages(connections, { place, list }, task)) {
    for (const repository of texts(document?.['repositories'], { what, host: place.host })) {
      if (!isRepository(repository)) throw new InvalidAnswer(what, place.host, `sent ${JSON.stringify(repository.slice(0, 80))}, which is no repository`)
      yield repository
    }
  }
}

/** Asks the registry for nothing but whether it lets us in. @throws {AccessDenied} @throws {RegistryUnreachable} */
export async function checkAccess(connections: Connections, registry: string, task: Task): Promise<void> {
  const place = registryPlace(connections, registry)
  const reply = await connections.endpoint(place).send({ what: `log in to "${registry}"`, method: 'GET', target: '/v2/', scopes: [], expect: [200] }, task)
  await reply.discard()
}

function registryPlace({ registries }: Connections, registry: string): Place {
  return { host: registry, repository: '', trust: trustOf(registry, registries) }
}

/** Go's registries say null for an empty list. */
function texts(value: Json | undefined, { what, host }: { what: string; host: string }): string[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) throw new InvalidAnswer(what, host, 'sent a list that is none of texts')
  return value
}
