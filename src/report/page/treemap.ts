import { hierarchy, treemap } from 'd3-hierarchy'
import type { FileNode } from '../../../builder/index.ts'
import { formatBytes } from '../../render/format.ts'
import { element } from './element.ts'

export type Measure = 'bytes' | 'inodes'

const width = 100
const height = 46
const hues = [212, 168, 32, 268, 340, 96, 190, 12]

/** A directory as areas: each is a button that goes into it. */
export function fileMap(root: FileNode, measure: Measure): HTMLElement {
  const holder = element('div', { class: 'map' })
  const show = (path: readonly FileNode[]): void => { holder.replaceChildren(trail(path, show), areas(path, { measure, show })) }
  show([root])
  return holder
}

function trail(path: readonly FileNode[], show: (path: readonly FileNode[]) => void): HTMLElement {
  return element('nav', { 'aria-label': 'Folder', class: 'trail' }, ...path.flatMap((node, index) => {
    const name = node.name
    const isLast = index === path.length - 1
    return [index > 1 ? '/' : undefined, isLast ? element('strong', {}, name) : element('button', { onclick: () => { show(path.slice(0, index + 1)) } }, name)]
  }))
}

function areas(path: readonly FileNode[], { measure, show }: { readonly measure: Measure; readonly show: (path: readonly FileNode[]) => void }): HTMLElement {
  const top = path.at(-1)
  if (top === undefined || top.children.length === 0 || top[measure] === 0) return element('p', { class: 'hint' }, 'Nothing below here takes any.')
  const layout = treemap<FileNode>().size([width, height]).paddingInner(0.25).round(false)
  const tree = layout(hierarchy<FileNode>(top, (node) => node === top ? [...node.children] : []).sum((node) => node === top ? 0 : node[measure]))
  const boxes = (tree.children ?? []).map(({ data, x0, y0, x1, y1 }, index) => {
    const size = `${formatBytes(data.bytes)}, ${data.inodes.toLocaleString('en-US')} ${data.inodes === 1 ? 'inode' : 'inodes'}`
    const isFolder = data.children.length > 0
    return element('button', {
      class: 'area', disabled: !isFolder, 'aria-label': `${data.name}: ${size}`, title: `${data.name}\n${size}`,
      style: `left: ${x0}%; top: ${y0 / height * 100}%; width: ${x1 - x0}%; height: ${(y1 - y0) / height * 100}%; --hue: ${hues[index % hues.length] ?? 0}`,
      onclick: () => { if (isFolder) show([...path, data]) },
    }, element('span', {}, `${data.name}${isFolder ? '/' : ''}`), element('small', {}, measure === 'bytes' ? formatBytes(data.bytes) : data.inodes.toLocaleString('en-US')))
  })
  return element('div', { class: 'areas' }, ...boxes)
}

/** The same as a tree of texts. */
export function fileList(node: FileNode, isOpen: boolean): HTMLElement {
  const line = [element('span', { class: 'name' }, node.name), element('span', { class: 'number' }, formatBytes(node.bytes)), element('span', { class: 'number' }, node.inodes.toLocaleString('en-US'))]
  if (node.children.length === 0) return element('div', { class: 'leaf' }, ...line)
  const details = element('details', { open: isOpen }, element('summary', {}, ...line))
  const fill = (): void => { if (details.open && details.childElementCount === 1) details.append(...node.children.map((child) => fileList(child, false))) }
  details.addEventListener('toggle', fill)
  fill()
  return details
}
