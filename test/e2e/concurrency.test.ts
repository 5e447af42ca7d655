import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { succeed, useCommand } from '../support/command.ts'
import type { Fault, TestRegistry } from '../support/registry.ts'
import { startRegistry } from '../support/registry.ts'

const { context, must, run, start } = useCommand('concurrency')
const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
/** Long enough for the next request to come if it may. */
const heldMs = 150
let registry: TestRegistry

beforeAll(async () => {
  registry = await startRegistry()
  const files = Object.fromEntries(names.map((name) => [name, name.repeat(5000)]))
  must('build', '-q', '-t', `${registry.host}/several:1`, context('several', { ...files, Dockerfile: `FROM scratch\n${names.map((name) => `COPY ${name} /\n`).join('')}` }))
  await succeed(start('push', `${registry.host}/several:1`))
})
afterAll(async () => { await registry[Symbol.asyncDispose]() })

/** Holds requests until as many are there as should be, and then a while longer; those after them pass. */
function countTogether(expected: number): { readonly hold: Fault; most: number } {
  let now = 0
  const { promise: released, resolve: release } = Promise.withResolvers<null>()
  const count = {
    most: 0,
    hold: async ({ proceed }: Parameters<Fault>[0]): Promise<void> => {
      now += 1
      count.most = Math.max(count.most, now)
      if (now === expected) setTimeout(() => { release(null) }, heldMs)
      await released
      now -= 1
      await proceed()
    },
  }
  return count
}

describe('layers of one image go as many at a time as is asked for', () => {
  it.each([[['--max-concurrent-uploads', '1'], 1], [['--max-concurrent-uploads', '3'], 3], [[], 5]])('up: %j', async (options, most) => {
    const count = countTogether(most)
    registry.blobs.clear()
    registry.on({ method: 'PUT', path: /\/blobs\/uploads\//u }, count.hold)
    await succeed(start('push', ...options, `${registry.host}/several:1`))
    expect(count.most).toBe(most)
  })

  it.each([[['--max-concurrent-downloads', '1'], 1], [['--max-concurrent-downloads', '2'], 2], [[], 3]])('down: %j', async (options, most) => {
    const count = countTogether(most)
    must('rmi', '-f', `${registry.host}/several:1`)
    must('prune', '-a', '-f')
    const { layers } = JSON.parse(registry.manifests.get('several 1')?.bytes.toString() ?? '') as { layers: { digest: string }[] }
    registry.on({ method: 'GET', path: new RegExp(layers.map(({ digest }) => digest).join('|'), 'u') }, count.hold)
    await succeed(start('pull', ...options, `${registry.host}/several:1`))
    expect(count.most).toBe(most)
  })

  it('and not a strange number', () => {
    for (const [verb, option] of [['push', 'uploads'], ['pull', 'downloads']] as const) {
      for (const value of ['0', '-1', 'many']) expect(run(verb, `--max-concurrent-${option}`, value, `${registry.host}/several:1`)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(`--max-concurrent-${option}`) as string })
    }
  })
})
