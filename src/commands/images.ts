import { formatFamiliar, parseReference } from '../../registry-client/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { UsageError } from '../errors.ts'
import { foreignOptions } from '../foreign-options.ts'
import { chosenForm, formatOption } from '../listing-options.ts'
import { onlySwitch, parseGlob } from '../prune-options.ts'
import { formatAge, formatBytes, shortId } from '../render/format.ts'
import type { ListingRow } from '../render/template.ts'
import { formatListing } from '../render/template.ts'

interface ImageRow { readonly name: string | undefined; readonly repository: string; readonly tag: string; readonly id: string; readonly createdAtMs: number; readonly createdMs: number | undefined; readonly sizeBytes: number; readonly inodes: number }

const headings: ListingRow = { Repository: 'REPOSITORY', Tag: 'TAG', ID: 'IMAGE ID', CreatedSince: 'CREATED', CreatedAt: 'CREATED AT', Size: 'SIZE', Inodes: 'INODES' }
const tableFormat = 'table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.Inodes}}'

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
    { name: 'filter', short: 'f', value: 'KEY=VALUE', isRepeatable: true, help: 'Only those with reference=GLOB or dangling=true|false' },
    formatOption(headings),
    { name: 'json', help: 'Print JSON' },
  ],
  foreignOptions: foreignOptions.images,
  examples: ['tsbuild images', 'tsbuild images --json app', "tsbuild images --filter reference='app:*' --format '{{.Repository}}:{{.Tag}} {{.Size}}'"],
  run: listImages,
}

async function listImages({ operands: [name], options }: CommandInput, app: App): Promise<number> {
  const form = chosenForm(options)
  const isWanted = parseFilters(options.texts('filter'))
  await using engine = await app.openEngine()
  const { measureImage } = await import('../../builder/index.ts')
  const rows: ImageRow[] = []
  for (const image of engine.store.images.list()) {
    const measured = await measureImage(engine.store, image)
    const names = image.names.length === 0 ? [undefined] : image.names
    for (const full of names) rows.push({ name: full, ...splitName(full), id: image.id, createdAtMs: image.createdAtMs, ...measured })
  }
  const wanted = rows.filter((row) => (name === undefined || isNamed(row, name)) && isWanted(row))
  const isWhole = options.has('no-trunc')
  if (form === 'json') app.print(JSON.stringify(wanted.map(({ name: _name, createdMs, ...row }) => ({ ...row, created: createdMs === undefined ? undefined : new Date(createdMs).toISOString() }))))
  else if (form === 'quiet') [...new Set(wanted.map(({ id }) => id))].forEach((id) => app.print(isWhole ? id : shortId(id)))
  else for (const line of formatListing(options.text('format') ?? tableFormat, wanted.map((row) => listingRow(row, isWhole)), headings)) app.print(line)
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
    Size: formatBytes(row.sizeBytes), Inodes: String(row.inodes),
  }
}

/** All have to agree; of several references one is enough, as with Docker. */
function parseFilters(texts: readonly string[]): (row: ImageRow) => boolean {
  const globs: ((name: string) => boolean)[] = []
  let isDangling: boolean | undefined
  for (const text of texts) {
    const [, key = '', value = ''] = /^([a-z]+)=(.*)$/su.exec(text) ?? []
    if (key === 'reference') globs.push(parseGlob(value))
    else if (key === 'dangling') isDangling = onlySwitch(text, isDangling, value)
    else throw new UsageError(`filter "${text}" is not known: there are reference=GLOB and dangling=true|false`)
  }
  return ({ name }) => (isDangling === undefined || isDangling === (name === undefined)) && (globs.length === 0 || (name !== undefined && globs.some((matches) => matches(name))))
}
