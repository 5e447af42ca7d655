import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { HelperReserve, runContainer } from '../../runtime/index.ts'
import { makeSpec } from '../support/container.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const busybox = { kind: 'directory', path: workspace.makeBusyboxLayer() } as const
afterAll(() => { workspace[Symbol.dispose]() })

async function print(helpers: HelperReserve, args: readonly string[]): Promise<string> {
  const spec = makeSpec({ args, rootfs: { kind: 'overlay', lowers: [busybox], upper: workspace.makeUpper(), xattrs: 'trusted' } })
  const chunks: Uint8Array[] = []
  const { exitCode } = await runContainer(spec, { kind: 'events', helpers }, { signal: new AbortController().signal, emit: (event) => { if (event.type === 'container-output') chunks.push(event.bytes) } })
  expect(exitCode).toBe(0)
  return Buffer.concat(chunks).toString()
}

function waitingPids(): number[] {
  const children = readdirSync('/proc/self/task').flatMap((thread) => readFileSync(`/proc/self/task/${thread}/children`, 'latin1').split(' '))
  return children.filter((pid) => pid !== '').map(Number).filter((pid) => readFileSync(`/proc/${pid}/comm`, 'latin1').startsWith('tsbuild-helper'))
}

describe('a reserve of helpers', () => {
  it('has the next one waiting while and after one runs, and ends it', async () => {
    const helpers = new HelperReserve()
    const seen: number[][] = []
    for (const word of ['first', 'second']) {
      expect(await print(helpers, ['/bin/echo', word])).toBe(`${word}\n`)
      seen.push(waitingPids())
    }
    expect(seen.map((pids) => pids.length)).toEqual([1, 1])
    expect(seen[0]).not.toEqual(seen[1])
    await helpers[Symbol.asyncDispose]()
    expect(waitingPids()).toEqual([])
  })

  it('hands a request over that is larger than a pipe', async () => {
    await using helpers = new HelperReserve()
    const words = Array.from({ length: 4 }, () => 'x'.repeat(100_000))
    for (const round of [1, 2]) expect((await print(helpers, ['/bin/echo', ...words])).length, `round ${round}`).toBe(400_004)
  })

  it('starts another one when the one that waits was ended', async () => {
    await using helpers = new HelperReserve()
    await print(helpers, ['/bin/true'])
    const [waiting = 0] = waitingPids()
    process.kill(waiting, 'SIGKILL')
    while (waitingPids().includes(waiting) && !readFileSync(`/proc/${waiting}/stat`, 'latin1').includes(') Z ')) await setTimeout(5)
    expect(await print(helpers, ['/bin/echo', 'still'])).toBe('still\n')
  })
})
