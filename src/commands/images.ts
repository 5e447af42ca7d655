import { formatFamiliar, parseReference } from '../../registry-client/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { UsageError } from '../errors.ts'
import { foreignOptions } from '../foreign-options.ts'
import { chosenForm, formatOption } from '../listing-options.ts'
import { onlySwitch, parseGlob, parseUntil } from '../prune-options.ts'
import { formatAge, formatBytes, shortId } from '../render/format.ts'
import type { ListingRow } from '../render/template.ts'
import { formatListing } from '../render/template.ts'

interface ImageRow { readonly name: string | undefined; readonly repository: string; readonly tag: string; readonly id: string; readonly createdAtMs: number; readonly createdMs: number | undefined; readonly sizeBytes: number; readonly inodes: number; readonly digest: string; readonly labels: Readonly<Record<string, string>> }

const headings: ListingRow = { Repository: 'REPOSITORY', Tag: 'TAG', ID: 'IMAGE ID', CreatedSince: 'CREATED', CreatedAt: 'CREATED AT', Size: 'SIZE', Inodes: 'INODES', Digest: 'DIGEST' }
const tableFormat = 'table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.Inodes}}'
const tableWithDigests = tableFormat.replace('{{.Tag}}', '{{.Tag}}\t{{.Digest}}')
const filterWords = 'reference=GLOB, dangling=true|false, label=NAME[=VALUE], before=IMAGE, since=IMAGE, until=48h'

export const imagesCommand: CommandSpec = {
  name: 'images',
  operands: '[NAME]',
  minOperands: 0,
  maxOperands: 1,
  summary: 'List images, or those of one repository',
  options: [
    { name: 'all', short: 'a', help: 'The same: there are no intermediate images here' },
    { name: 'quiet', short: 'q', help: 'Print ids only' },
    { name: 'no-trunc', help: 'Print whole ids' },
    { name: 'digests', help: 'Show the digests of manifests' },
    { name: 'filter', short: 'f', value: 'KEY=VALUE', isRepeatable: true, help: `Only those with ${filterWords}` },
    formatOption(headings),
    { name: 'json', help: 'Print JSON' },
  ],
  foreignOptions: foreignOptions.images,
  examples: ['tsbuild images', 'tsbuild images --json app', "tsbuild images --filter reference='app:*' --format '{{.Repository}}:{{.Tag}} {{.Size}}'"],
  run: listImages,
}

async function listImages({ operands: [name], options }: CommandInput, app: App): Promise<number> {
  const form = chosenForm(options)
  const filters = parseFilters(options.texts('filter'))
  await using engine = await app.openEngine()
  const { findImage, measureImage } = await import('../../builder/index.ts')
  const rows: ImageRow[] = []
  for (const image of engine.store.images.list()) {
    const measured = await measureImage(engine.store, image)
    const names = image.names.length === 0 ? [undefined] : image.names
    for (const full of names) rows.push({ name: full, ...splitName(full), id: image.id, digest: image.manifest.digest, createdAtMs: image.createdAtMs, ...measured })
  }
  const createdMsOf = (name: string): number => {
    const other = findImage(engine.store, name)
    return rows.find(({ id }) => id === other.id)?.createdMs ?? 0
  }
  const isWanted = chooseRows(filters, createdMsOf)
  const wanted = rows.filter((row) => (name === undefined || isNamed(row, name)) && isWanted(row))
  const isWhole = options.has('no-trunc')
  if (form === 'json') app.print(JSON.stringify(wanted.map(({ name: _name, createdMs, labels: _labels, ...row }) => ({ ...row, created: createdMs === undefined ? undefined : new Date(createdMs).toISOString() }))))
  else if (form === 'quiet') [...new Set(wanted.map(({ id }) => id))].forEach((id) => app.print(isWhole ? id : shortId(id)))
  else for (const line of formatListing(options.text('format') ?? (options.has('digests') ? tableWithDigests : tableFormat), wanted.map((row) => listingRow(row, isWhole)), headings)) app.print(line)
  return 0
}

function splitName(name: string | undefined): { repository: string; tag: string } {
  if (name === undefined) return { repository: '<none>', tag: '<none>' }
  const reference = parseReference(name)
  return { repository: formatFamiliar({ ...reference, tag: undefined, digest: undefined }), tag: reference.tag ?? '<none>' }
}

function isNamed({ repository, tag }: ImageRow, name: string): boolean {
  return name.includes(':') ? `${repository}:${tag}` === name : repository === name
}

function listingRow(row: ImageRow, isWhole: boolean): ListingRow {
  return {
    Repository: row.repository, Tag: row.tag, ID: isWhole ? row.id : shortId(row.id),
    CreatedSince: row.createdMs === undefined ? 'N/A' : formatAge(Date.now() - row.createdMs), CreatedAt: row.createdMs === undefined ? 'N/A' : new Date(row.createdMs).toISOString(),
    Size: formatBytes(row.sizeBytes), Inodes: String(row.inodes), Digest: row.digest,
  }
}

interface Filters {
  readonly globs: readonly ((name: string) => boolean)[]
  readonly isDangling: boolean | undefined
  readonly labels: readonly string[]
  /** Names of images. */
  readonly before: readonly string[]
  readonly since: readonly string[]
  readonly untilMs: number
}

/** @throws {UsageError} */
function parseFilters(texts: readonly string[]): Filters {
  const values = (wanted: string): string[] => texts.flatMap((text) => text.startsWith(`${wanted}=`) ? [text.slice(wanted.length + 1)] : [])
  const unknown = texts.find((text) => !/^(?:reference|dangling|label|before|since|until)=/u.test(text))
  if (unknown !== undefined) throw new UsageError(`filter "${unknown}" is not known: there are ${filterWords}`)
  const isDangling = values('dangling').reduce<boolean | undefined>((before, value) => onlySwitch(`dangling=${value}`, before, value), undefined)
  const untils = values('until').map((value) => parseUntil(value, Date.now()))
  return { globs: values('reference').map(parseGlob), isDangling, labels: values('label'), before: values('before'), since: values('since'), untilMs: Math.min(...untils) }
}

/** All have to agree; of several references one is enough, as with Docker. */
function chooseRows({ globs, isDangling, labels, before, since, untilMs }: Filters, createdMsOf: (image: string) => number): (row: ImageRow) => boolean {
  const [beforeMs, sinceMs] = [Math.min(...before.map(createdMsOf)), Math.max(...since.map(createdMsOf))]
  const hasLabel = (row: ImageRow, label: string): boolean => Object.entries(row.labels).some(([name, value]) => label === name || label === `${name}=${value}`)
  const isCalled = (name: string | undefined): boolean => globs.length === 0 || (name !== undefined && globs.some((matches) => matches(name)))
  const createdMs = (row: ImageRow): number => row.createdMs ?? 0
  return (row) => isCalled(row.name) && (isDangling === undefined || isDangling === (row.name === undefined)) && labels.every((label) => hasLabel(row, label)) && Math.max(sinceMs, -1) < createdMs(row) && createdMs(row) < Math.min(beforeMs, untilMs)
}
