import { createTask } from '../../core/task.ts'
import type { CommandSpec } from '../command.ts'

export const tagsCommand: CommandSpec = {
  name: 'tags',
  operands: 'NAME',
  minOperands: 1,
  maxOperands: 1,
  summary: 'List the tags that a registry has of a repository, or the repositories of a registry',
  options: [
    { name: 'catalog', help: 'NAME is a registry: list its repositories' },
  ],
  examples: ['tsbuild tags debian', 'tsbuild tags --catalog registry.example'],
  run: async ({ operands: [name = ''], options }, app) => {
    const { normalizeRegistry, openRegistryAccess } = await import('../../registry-client/index.ts')
    const task = createTask(app)
    const registries = await openRegistryAccess(app.env)
    if (options.has('catalog')) {
      for await (const repository of registries.client.catalog.repositories(normalizeRegistry(name), task)) app.print(repository)
      return 0
    }
    const { askInTurn } = await import('../../builder/index.ts')
    const { first, others } = await askInTurn(registries, name, ({ catalog }, reference) => begin(catalog.tags(reference, task)))
    if (first !== undefined) app.print(first)
    for await (const tag of others) app.print(tag)
    return 0
  },
}

/** The first page tells whether there is such a repository. */
async function begin(tags: AsyncIterable<string>): Promise<{ readonly first: string | undefined; readonly others: AsyncIterable<string> }> {
  const iterator = tags[Symbol.asyncIterator]()
  const next: IteratorResult<string, unknown> = await iterator.next()
  return { first: next.done === true ? undefined : next.value, others: { [Symbol.asyncIterator]: () => iterator } }
}
