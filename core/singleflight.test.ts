import { expect, it } from 'vitest'
import { createSingleflight } from './singleflight.ts'

it('shares one run among callers of a key and forgets it afterwards, failed or not', async () => {
  const flight = createSingleflight<string, number>()
  let runs = 0
  const work = async (): Promise<number> => {
    runs += 1
    await Promise.resolve()
    if (runs === 1) throw new Error('first run')
    return runs
  }
  const [one, two] = await Promise.allSettled([flight('a', work), flight('a', work)])
  expect([one.status, two.status, runs]).toEqual(['rejected', 'rejected', 1])
  await expect(flight('a', work)).resolves.toBe(2)
  await expect(flight('b', work)).resolves.toBe(3)
})
