import type { TreeItem } from './tree-items.ts'

/**
 * Those items that fit into `rows` lines, in their order: the most important first, of equal ones the newest. A count
 * of running steps that found no room is the caller's to show.
 */
export function chooseItems(items: readonly TreeItem[], rows: number): { readonly shown: readonly TreeItem[]; readonly hiddenRunning: number } {
  if (items.length <= rows) return { shown: items, hiddenRunning: 0 }
  const ranked = items.map((item, index) => ({ item, index })).sort((one, other) => one.item.rank - other.item.rank || one.item.age - other.item.age || one.index - other.index)
  const chosen = new Set(ranked.slice(0, Math.max(0, rows)).map(({ item }) => item))
  const isRunning = ({ kind, rank }: TreeItem): boolean => kind === 'step' && rank === 0
  return { shown: items.filter((item) => chosen.has(item)), hiddenRunning: items.filter((item) => isRunning(item) && !chosen.has(item)).length }
}

/** Each item as a line; a step stands below its stage or names it. */
export function renderItems(items: readonly TreeItem[], width: number): string[] {
  const headed = new Set(items.filter(({ kind }) => kind === 'stage').map(({ stage }) => stage))
  return items.map((item) => item.render(width, headed.has(item.stage)))
}
