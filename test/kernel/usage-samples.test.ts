import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import type { UsageSampled } from '../../runtime/index.ts'
import { runContainer } from '../../runtime/index.ts'
import { makeSpec } from '../support/container.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const busybox = workspace.makeBusyboxLayer()
afterAll(() => { workspace[Symbol.dispose]() })

/** Runs a script beside a folder /shared, where `seen` is made once there are two samples, the last with what is waited for. */
async function samplesOf(script: string, isAwaited: (sample: UsageSampled) => boolean = () => false): Promise<{ readonly samples: readonly UsageSampled[]; readonly wallMs: number }> {
  const rootfs = { kind: 'overlay', lowers: [{ kind: 'directory', path: busybox }], upper: workspace.makeUpper(), xattrs: 'trusted' } as const
  const folder = workspace.makeFolder()
  const samples: UsageSampled[] = []
  const take = (sample: UsageSampled): void => {
    samples.push(sample)
    if (samples.length > 1 && isAwaited(sample)) writeFileSync(join(folder, 'seen'), '')
  }
  const spec = makeSpec({ args: ['/bin/sh', '-c', script], rootfs, mounts: [{ kind: 'bind', source: folder, target: '/shared', readonly: true }] })
  const { usage } = await runContainer(spec, { kind: 'events' }, { signal: new AbortController().signal, emit: (event) => { if (event.type === 'usage-sampled') take(event) } })
  return { samples, wallMs: usage.wallMs }
}

it('a container tells what it uses while it runs: memory, processes, and processor time that only grows', async () => {
  const work = 'i=0; while [ $i -lt 3 ]; do dd if=/dev/zero of=/dev/null bs=1M count=3000 2> /dev/null; i=$((i+1)); done; dd if=/dev/zero of=/dev/shm/x bs=1M count=21 2> /dev/null'
  const isOver = ({ memoryBytes = 0, processes }: UsageSampled): boolean => memoryBytes > 20 * 1024 * 1024 && processes > 1
  const { samples } = await samplesOf(`${work}; until [ -e /shared/seen ]; do sleep 0.1; done`, isOver)
  expect(samples.length).toBeGreaterThan(1)
  expect(samples.some(isOver)).toBe(true)
  expect(samples.at(-1)?.cpuMs).toBeGreaterThan(50)
  expect(samples.map(({ cpuMs }) => cpuMs)).toEqual(samples.map(({ cpuMs }) => cpuMs).toSorted((one, other) => one - other))
})

it('a container that is quick tells nothing', async () => {
  // On a busy machine not every one is.
  const quick = async (turn: number): ReturnType<typeof samplesOf> => {
    const told = await samplesOf('true')
    return told.wallMs > 150 && turn < 50 ? quick(turn + 1) : told
  }
  expect((await quick(0)).samples).toEqual([])
})
