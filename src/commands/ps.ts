import { defaultRoot } from '../../builder/index.ts'
import type { DetachedContainer } from '../../runtime/index.ts'
import { ContainerRecords } from '../../runtime/index.ts'
import type { CommandSpec } from '../command.ts'
import { shortIdLength } from '../detached.ts'
import { formatAge, formatTable } from '../render/format.ts'

export const psCommand: CommandSpec = {
  name: 'ps',
  operands: '',
  minOperands: 0,
  maxOperands: 0,
  summary: 'List detached containers',
  options: [
    { name: 'all', short: 'a', help: 'Those that have ended too' },
    { name: 'quiet', short: 'q', help: 'Print only ids' },
    { name: 'json', help: 'Print a JSON document' },
  ],
  examples: ['tsbuild ps -a'],
  run: ({ options }, app) => {
    const all = new ContainerRecords(defaultRoot(app.env)).list()
    const shown = options.has('all') ? all : all.filter(({ state }) => state.kind === 'running' || state.kind === 'starting')
    if (options.has('json')) app.print(JSON.stringify(shown.map(summary), undefined, 2))
    else if (options.has('quiet')) for (const { id } of shown) app.print(id.slice(0, shortIdLength))
    else app.print(formatTable([['CONTAINER ID', 'IMAGE', 'COMMAND', 'CREATED', 'STATUS', 'PORTS', 'NAMES'], ...shown.map(row)]))
    return Promise.resolve(0)
  },
}

function summary({ id, name, image, command, createdAtMs, ports, state }: DetachedContainer): object {
  return { id, name, image, command, createdAtMs, ports, state: state.kind, initPid: state.kind === 'running' ? state.running.initPid : undefined, end: state.kind === 'ended' ? state.end : undefined }
}

function row(container: DetachedContainer): string[] {
  const { id, name, image, command, createdAtMs, ports } = container
  return [id.slice(0, shortIdLength), image, JSON.stringify(command.join(' ')), formatAge(Date.now() - createdAtMs), status(container), ports.join(', '), name]
}

function status({ state, createdAtMs }: DetachedContainer): string {
  switch (state.kind) {
    case 'starting': return 'Created'
    case 'running': return `Up ${formatAge(Date.now() - createdAtMs).replace(/ ago$/u, '')}`
    case 'ended': return `Exited (${state.end.exitCode}) ${formatAge(Date.now() - state.end.endedAtMs)}`
    case 'lost': return 'Dead'
  }
}
