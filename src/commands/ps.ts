import { defaultRoot } from '../../builder/index.ts'
import type { DetachedContainer } from '../../runtime/index.ts'
import { ContainerRecords } from '../../runtime/index.ts'
import type { CommandSpec } from '../command.ts'
import { stateName } from '../describe-container.ts'
import { shortIdLength } from '../detached.ts'
import { UsageError } from '../errors.ts'
import { foreignOptions } from '../foreign-options.ts'
import { parsePositive } from '../option-values.ts'
import { chosenForm, formatOption } from '../listing-options.ts'
import { formatAge } from '../render/format.ts'
import type { ListingRow } from '../render/template.ts'
import { formatListing } from '../render/template.ts'

const headings: ListingRow = { ID: 'CONTAINER ID', Image: 'IMAGE', Command: 'COMMAND', CreatedAt: 'CREATED AT', RunningFor: 'CREATED', State: 'STATE', Status: 'STATUS', Ports: 'PORTS', Names: 'NAMES', Labels: 'LABELS' }
const tableFormat = 'table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}'

const filterWords = 'name=PART, id=BEGINNING, ancestor=IMAGE, label=NAME[=VALUE], exited=CODE or status=created|running|exited|dead'

export const psCommand: CommandSpec = {
  name: 'ps',
  operands: '',
  minOperands: 0,
  maxOperands: 0,
  summary: 'List detached containers',
  options: [
    { name: 'all', short: 'a', help: 'Those that have ended too' },
    { name: 'quiet', short: 'q', help: 'Print only ids' },
    { name: 'no-trunc', help: 'Print whole ids' },
    { name: 'last', short: 'n', value: 'N', help: 'Only the newest, those that have ended too' },
    { name: 'latest', short: 'l', help: 'The same as -n 1' },
    { name: 'filter', short: 'f', value: 'KEY=VALUE', isRepeatable: true, help: `Only those with ${filterWords}` },
    formatOption(headings),
    { name: 'json', help: 'Print a JSON document' },
  ],
  foreignOptions: foreignOptions.ps,
  examples: ['tsbuild ps -a', "tsbuild ps -a --filter status=exited --format '{{.Names}} {{.Status}}'"],
  run: ({ options }, app) => {
    const form = chosenForm(options)
    const all = new ContainerRecords(defaultRoot(app.env)).list()
    const isWanted = parseFilters(options.texts('filter'))
    const newest = options.has('latest') ? 1 : parsePositive(options, 'last')
    const isAll = options.has('all') || newest !== undefined || options.texts('filter').some((text) => /^(?:status|exited)=/u.test(text))
    const shown = all.slice(0, newest).filter((container) => (isAll || ['created', 'running'].includes(stateName(container.state))) && isWanted(container))
    const isWhole = options.has('no-trunc')
    if (form === 'json') app.print(JSON.stringify(shown.map(summary), undefined, 2))
    else if (form === 'quiet') for (const { id } of shown) app.print(isWhole ? id : id.slice(0, shortIdLength))
    else for (const line of formatListing(options.text('format') ?? tableFormat, shown.map((container) => listingRow(container, isWhole)), headings)) app.print(line)
    return Promise.resolve(0)
  },
}

function summary({ id, name, image, command, createdAtMs, ports, labels = [], state }: DetachedContainer): object {
  return { id, name, image, command, createdAtMs, ports, labels, state: state.kind, initPid: state.kind === 'running' ? state.running.initPid : undefined, end: state.kind === 'ended' ? state.end : undefined }
}

function listingRow(container: DetachedContainer, isWhole: boolean): ListingRow {
  const { id, name, image, command, createdAtMs, ports, labels = [] } = container
  return {
    ID: isWhole ? id : id.slice(0, shortIdLength), Image: image, Command: JSON.stringify(command.join(' ')), CreatedAt: new Date(createdAtMs).toISOString(),
    RunningFor: formatAge(Date.now() - createdAtMs), State: stateName(container.state), Status: status(container), Ports: ports.join(', '), Names: name, Labels: labels.join(','),
  }
}

/** All keys have to agree; of several values of one key one is enough, as with Docker. */
function parseFilters(texts: readonly string[]): (container: DetachedContainer) => boolean {
  const byKey = Map.groupBy(texts, (text) => text.slice(0, text.indexOf('=')))
  const tests = [...byKey.values()].map((same) => same.map(parseFilter))
  return (container) => tests.every((same) => same.some((matches) => matches(container)))
}

function parseFilter(text: string): (container: DetachedContainer) => boolean {
  const [, key = '', value = ''] = /^([a-z]+)=(.*)$/su.exec(text) ?? []
  switch (key) {
    case 'name': return ({ name }) => name.includes(value)
    case 'id': return ({ id }) => id.startsWith(value)
    case 'status': {
      if (!stateNames.includes(value)) throw new UsageError(`filter status takes created, running, exited or dead, not "${value}"`)
      return (container) => stateName(container.state) === value
    }
    case 'ancestor': return ({ image }) => image === value || image === `${value}:latest` || `${image}:latest` === value
    case 'label': return ({ labels = [] }) => labels.some((label) => label === value || label.startsWith(`${value}=`))
    case 'exited': return ({ state }) => state.kind === 'ended' && String(state.end.exitCode) === value
    default: throw new UsageError(`filter "${text}" is not known: there are ${filterWords}`)
  }
}

const stateNames: readonly string[] = ['created', 'running', 'exited', 'dead'] satisfies ReturnType<typeof stateName>[]

function status({ state, createdAtMs }: DetachedContainer): string {
  switch (state.kind) {
    case 'starting': return 'Created'
    case 'running': return `Up ${formatAge(Date.now() - createdAtMs).replace(/ ago$/u, '')}`
    case 'ended': return `Exited (${state.end.exitCode}) ${formatAge(Date.now() - state.end.endedAtMs)}`
    case 'lost': return 'Dead'
  }
}
