import { afterAll, expect, it } from 'vitest'
import type { UsageSampled } from '../../runtime/index.ts'
import { runContainer } from '../../runtime/index.ts'
import { makeSpec } from '../support/container.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const busybox = workspace.makeBusyboxLayer()
afterAll(() => { workspace[Symbol.dispose]() })

async function samplesOf(script: string): Promise<UsageSampled[]> {
  const rootfs = { kind: 'overlay', lowers: [{ kind: 'directory', path: busybox }], upper: workspace.makeUpper(), xattrs: 'trusted' } as const
  const samples: UsageSampled[] = []
  await runContainer(makeSpec({ args: ['/bin/sh', '-c', script], rootfs }), { kind: 'events' }, { signal: new AbortController().signal, emit: (event) => { if (event.type === 'usage-sampled') samples.push(event) } })
  return samples
}

it('a container tells what it uses while it runs: memory, processes, and processor time that only grows', async () => {
  const samples = await samplesOf('i=0; while [ $i -lt 3 ]; do dd if=/dev/zero of=/dev/null bs=1M count=3000 2> /dev/null; i=$((i+1)); done; dd if=/dev/zero of=/dev/shm/x bs=1M count=20 2> /dev/null; sleep 0.6; true')
  expect(samples.length).toBeGreaterThan(1)
  expect(samples.at(-1)?.memoryBytes).toBeGreaterThan(20 * 1024 * 1024)
  expect(samples.at(-1)?.processes).toBeGreaterThan(1)
  expect(samples.at(-1)?.cpuMs).toBeGreaterThan(50)
  expect(samples.map(({ cpuMs }) => cpuMs)).toEqual(samples.map(({ cpuMs }) => cpuMs).toSorted((one, other) => one - other))
})

it('a container that is quick tells nothing', async () => {
  expect(await samplesOf('true')).toEqual([])
})
