import { setImmediate, setTimeout } from 'node:timers/promises'

/** Waits, and then until what came meanwhile has been taken: after a pause of the whole process a timer comes before it. */
export async function settle(ms: number): Promise<void> {
  await setTimeout(ms)
  for (let turn = 0; turn < 20; turn += 1) await setImmediate()
}
