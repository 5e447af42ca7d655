import { formatBytes } from '../../render/format.ts'
import type { ReportedImage } from '../report-data.ts'
import { element, section, table } from './element.ts'
import type { Measure } from './treemap.ts'
import { fileList, fileMap } from './treemap.ts'

const shownRows = 15
const count = (value: number): string => value.toLocaleString('en-US')

/** As in the Dockerfile: without the build arguments and the shell that history has in front of a command. */
function instruction(createdBy: string): string {
  return createdBy.replace(/^(RUN )(?:\|\d+ .*? )?\/bin\/sh -c /u, '$1')
}

/** The layers as a list to choose from, and what the chosen one holds. */
export function layersSection({ layers }: ReportedImage): HTMLElement {
  const largest = Math.max(1, ...layers.map(({ sizeBytes }) => sizeBytes))
  const shown = element('div', { class: 'layer', 'aria-live': 'polite' })
  let measure: Measure = 'bytes'
  let chosen = Math.max(0, layers.findIndex(({ sizeBytes }) => sizeBytes === largest))
  const buttons = layers.map((layer, index) => element('button', { class: 'choice', onclick: () => { chosen = index; show() } },
    element('span', { class: 'label' }, layer.createdBy === '' ? layer.diffId.slice(7, 19) : instruction(layer.createdBy)),
    element('span', { class: 'track', 'aria-hidden': 'true' }, element('span', { class: 'bar executed', style: `left: 0; width: max(2px, ${layer.sizeBytes / largest * 100}%)` })),
    element('span', { class: 'state' }, `${formatBytes(layer.sizeBytes)} · ${count(layer.inodes)}`)))
  const show = (): void => {
    const layer = layers[chosen]
    for (const [index, button] of buttons.entries()) button.setAttribute('aria-pressed', String(index === chosen))
    if (layer === undefined) return
    const choices = (['bytes', 'inodes'] as const).map((each) => element('button', { 'aria-pressed': String(each === measure), onclick: () => { measure = each; show() } }, each))
    shown.replaceChildren(
      element('h3', {}, `Layer ${chosen + 1} of ${layers.length}`),
      element('pre', { class: 'source', tabindex: 0, 'aria-label': 'Made by' }, layer.createdBy),
      element('p', { class: 'hint' }, `${layer.diffId} · ${formatBytes(layer.sizeBytes)} and ${count(layer.inodes)} inodes on disk; files of ${formatBytes(layer.tree.bytes)} in ${count(layer.tree.inodes)} entries`),
      element('div', { class: 'switch', role: 'group', 'aria-label': 'Area shows' }, ...choices),
      fileMap(layer.tree, measure),
      element('div', { class: 'files' }, fileList(layer.tree, true)),
    )
  }
  show()
  return section('layers', 'Layers', element('div', { class: 'choices' }, ...buttons), shown)
}

const hiding = { overwritten: 'replaced', rewritten: 'rewritten', deleted: 'deleted' } as const

export function wasteSection({ waste, layers }: ReportedImage): HTMLElement {
  const by = (index: number): HTMLElement => element('span', { title: layers[index]?.createdBy ?? '' }, `layer ${index + 1}`)
  const rows = waste.largest.map((file) => [element('code', {}, file.path), formatBytes(file.bytes), by(file.layer), element('span', {}, `${hiding[file.kind]} by `, by(file.hiddenBy))])
  const tableOf = (caption: string, part: typeof rows): HTMLElement => table(caption, ['File', 'Size', 'Lies in', 'What hides it'], part)
  return section('waste', 'Waste',
    element('p', {}, waste.bytes === 0 && waste.inodes === 0 ? 'No layer replaces or deletes files of another.' : `${formatBytes(waste.bytes)} and ${count(waste.inodes)} entries lie in layers though nobody can see them: later layers replace or delete them.`),
    ...(rows.length === 0 ? [] : [tableOf('Files that take room to no use', rows.slice(0, shownRows))]),
    ...(rows.length <= shownRows ? [] : [element('details', {}, element('summary', {}, `${rows.length - shownRows} more`), tableOf('More of them', rows.slice(shownRows)))]),
  )
}
