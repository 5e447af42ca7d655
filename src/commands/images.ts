import { formatFamiliar, parseReference } from '../../registry-client/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { formatAge, formatBytes, formatTable, shortId } from '../render/format.ts'

interface ImageRow { readonly repository: string; readonly tag: string; readonly id: string; readonly createdAtMs: number; readonly sizeBytes: number; readonly inodes: number }

export const imagesCommand: CommandSpec = {
  name: 'images',
  operands: '[NAME]',
  minOperands: 0,
  maxOperands: 1,
  summary: 'List images, or those of one repository',
  options: [
    { name: 'quiet', short: 'q', help: 'Print ids only' },
    { name: 'no-trunc', help: 'Print whole ids' },
    { name: 'json', help: 'Print JSON' },
  ],
  examples: ['tsbuild images', 'tsbuild images --json app'],
  run: listImages,
}

async function listImages({ operands: [name], options }: CommandInput, app: App): Promise<number> {
  await using engine = await app.openEngine()
  const { measureImage } = await import('../../builder/index.ts')
  const rows: ImageRow[] = []
  for (const image of engine.store.images.list()) {
    const measured = await measureImage(engine.store, image)
    const names = image.names.length === 0 ? [undefined] : image.names
    for (const full of names) rows.push({ ...splitName(full), id: image.id, createdAtMs: image.createdAtMs, ...measured })
  }
  const wanted = name === undefined ? rows : rows.filter((row) => isNamed(row, name))
  if (options.has('json')) app.print(JSON.stringify(wanted))
  else if (options.has('quiet')) [...new Set(wanted.map(({ id }) => id))].forEach((id) => app.print(options.has('no-trunc') ? id : shortId(id)))
  else app.print(table(wanted, options.has('no-trunc')))
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

function table(rows: readonly ImageRow[], isWhole: boolean): string {
  const now = Date.now()
  return formatTable([
    ['REPOSITORY', 'TAG', 'IMAGE ID', 'CREATED', 'SIZE', 'INODES'],
    ...rows.map((row) => [row.repository, row.tag, isWhole ? row.id : shortId(row.id), formatAge(now - row.createdAtMs), formatBytes(row.sizeBytes), String(row.inodes)]),
  ])
}
