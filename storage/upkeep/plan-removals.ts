import { InodesUncounted } from '../errors.ts'
import type { Inventory, StockedImage } from '../usage/inventory.ts'
import type { Freed, Root } from '../usage/holdings.ts'
import { Holdings } from '../usage/holdings.ts'
import type { Size, Space } from '../usage/space.ts'
import { addSizes } from '../usage/space.ts'
import type { Amount, Budgets, PrunePolicy } from './policy.ts'
import { identity, selectCandidates } from './policy.ts'

export interface RemovalPlan {
  /** In the order in which they were chosen. */
  readonly removals: readonly Root[]
  /** By the sweep that follows, what nobody held before included. */
  readonly freed: Freed
  readonly unmet: readonly UnmetBudget[]
}

/** A budget that does not hold although every candidate goes. */
export interface UnmetBudget {
  readonly budget: keyof Budgets
  readonly wanted: number
  /** What there will be. */
  readonly reached: number
}

export interface Planning {
  readonly inventory: Inventory
  /** One after the other; each sees what those before it leave. */
  readonly policies: readonly PrunePolicy[]
  readonly space: Space
  /** Goes whatever the policies say: leftovers of dead processes and of failed work. */
  readonly leftovers: Size
  readonly labelsOf: (image: StockedImage) => Readonly<Record<string, string>>
}

/**
 * Decides what goes. It depends on nothing but its input, so that a dry run and the real one say the same.
 * @throws {InodesUncounted}
 */
export function planRemovals({ inventory, policies, space, leftovers, labelsOf }: Planning): RemovalPlan {
  let roots: readonly Root[] = [...inventory.images, ...inventory.cache, ...inventory.mounts]
  const holdings = new Holdings(inventory, roots)
  const state = { held: holdings.size(), freed: holdings.unheld() }
  const removals: Root[] = []
  const unmet: UnmetBudget[] = []
  for (const policy of policies) {
    const limits = resolveBudgets(policy.budgets, space)
    const missed = (): UnmetBudget[] => limits.filter(({ isMet }) => !isMet({ held: state.held, free: addSizes([space.free, leftovers, state.freed]) }))
      .map(({ budget, wanted, measure }) => ({ budget, wanted, reached: measure({ held: state.held, free: addSizes([space.free, leftovers, state.freed]) }) }))
    const gone = new Set<string>()
    for (const root of selectCandidates({ inventory, roots, policy, labelsOf })) {
      if (limits.length > 0 && missed().length === 0) break
      const freed = holdings.release(root)
      state.held = { bytes: state.held.bytes - freed.bytes, inodes: state.held.inodes - freed.inodes }
      state.freed = addFreed(state.freed, freed)
      removals.push(root)
      gone.add(`${root.kind} ${identity(root)}`)
    }
    roots = roots.filter((root) => !gone.has(`${root.kind} ${identity(root)}`))
    unmet.push(...missed())
  }
  return { removals, freed: state.freed, unmet }
}

interface State { readonly held: Size; readonly free: Size }

interface Limit {
  readonly budget: keyof Budgets
  readonly wanted: number
  readonly measure: (state: State) => number
  readonly isMet: (state: State) => boolean
}

function resolveBudgets(budgets: Budgets, space: Space): Limit[] {
  const { maxBytes, maxInodes, minFreeBytes, minFreeInodes } = budgets
  if (minFreeInodes !== undefined && !space.countsInodes) throw new InodesUncounted()
  return [
    ...(maxBytes === undefined ? [] : [atMost('maxBytes', maxBytes, ({ held }) => held.bytes)]),
    ...(maxInodes === undefined ? [] : [atMost('maxInodes', maxInodes, ({ held }) => held.inodes)]),
    ...(minFreeBytes === undefined ? [] : [atLeast('minFreeBytes', resolveAmount(minFreeBytes, space.total.bytes), ({ free }) => free.bytes)]),
    ...(minFreeInodes === undefined ? [] : [atLeast('minFreeInodes', resolveAmount(minFreeInodes, space.total.inodes), ({ free }) => free.inodes)]),
  ]
}

function atMost(budget: keyof Budgets, wanted: number, measure: Limit['measure']): Limit {
  return { budget, wanted, measure, isMet: (state) => measure(state) <= wanted }
}

function atLeast(budget: keyof Budgets, wanted: number, measure: Limit['measure']): Limit {
  return { budget, wanted, measure, isMet: (state) => measure(state) >= wanted }
}

function resolveAmount(amount: Amount, total: number): number {
  return amount.kind === 'count' ? amount.count : Math.ceil(total * amount.share)
}

export function addFreed(one: Freed, other: Freed): Freed {
  return { ...addSizes([one, other]), layers: one.layers + other.layers, blobs: one.blobs + other.blobs }
}

