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
    const { normalizeRegistry, openRegistryClient, loadRegistriesConfig, resolveName } = await import('../../registry-client/index.ts')
    const task = createTask(app)
    const { catalog } = await openRegistryClient(app.env, { userAgent: 'tsbuild' })
    if (options.has('catalog')) {
      for await (const repository of catalog.repositories(normalizeRegistry(name), task)) app.print(repository)
      return 0
    }
    const [reference] = resolveName(name, await loadRegistriesConfig(app.env))
    if (reference !== undefined) for await (const tag of catalog.tags(reference, task)) app.print(tag)
    return 0
  },
}
