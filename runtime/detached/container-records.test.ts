import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ContainerRecords } from './container-records.ts'

it('a container that begins while others look for containers counts as alive to all of them', async () => {
  const root = mkdtempSync(join(tmpdir(), 'tsbuild-records-'))
  const module = JSON.stringify(join(import.meta.dirname, 'container-records.ts'))
  const look = `import { ContainerRecords } from ${module}
    const records = new ContainerRecords(${JSON.stringify(root)})
    const seen = new Set()
    process.on('SIGTERM', () => { process.stdout.write(JSON.stringify([...seen]), () => process.exit()) })
    for (let turn = 0; ; turn += 1) {
      for (const { state } of records.list()) seen.add(state.kind)
      if (turn % 10 === 0) await new Promise((resolve) => { setImmediate(resolve) })
      if (turn === 0) console.log('looking')
    }`
  const looking = spawn(process.execPath, ['--input-type=module', '-e', look], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    await once(looking.stdout, 'data')
    const records = new ContainerRecords(root)
    for (let number = 0; number < 300; number += 1) {
      const id = String(number).padStart(64, '0')
      records.create({ id, name: `c${number}`, image: 'busybox', command: [], createdAtMs: number, ports: [], isRemovedAtEnd: false })
      expect(records.list().map(({ state }) => state.kind)).toEqual(['starting'])
      records.discard(id)
    }
    const said = once(looking.stdout, 'data')
    looking.kill()
    expect(JSON.parse(String(await said))).toEqual(['starting'])
  } finally {
    looking.kill('SIGKILL')
    rmSync(root, { recursive: true })
  }
})
