import { createTask } from '../../core/task.ts'
import type { CommandSpec } from '../command.ts'
import { foreignOptions } from '../foreign-options.ts'

export const logoutCommand: CommandSpec = {
  name: 'logout',
  operands: '[REGISTRY]',
  minOperands: 0,
  maxOperands: 1,
  summary: 'Forget the credentials of a registry, by default Docker Hub',
  options: [],
  foreignOptions: foreignOptions.logout,
  examples: ['tsbuild logout registry.example'],
  run: async ({ operands: [operand] }, app) => {
    const { eraseCredentials, normalizeRegistry } = await import('../../registry-client/index.ts')
    const registry = normalizeRegistry(operand ?? 'docker.io')
    const wasThere = await eraseCredentials(app.env, registry, createTask(app))
    app.print(wasThere ? `logged out of ${registry}` : `was not logged in to ${registry}`)
    return 0
  },
}
