import { getParts } from '../store-parts.ts'
import type { Store } from '../store.ts'
import type { DriverChoice } from './choose-driver.ts'

/** How an open store makes snapshots, and why so. */
export function describeDriver(store: Store): DriverChoice {
  return getParts(store).driver
}
