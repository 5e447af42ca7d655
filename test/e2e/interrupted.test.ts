import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { findHierarchies } from '../../runtime/cgroup/hierarchies.ts'
import { importBusybox, leftovers, useCommand } from '../support/command.ts'
import { expectClean } from '../support/stores.ts'

const command = useCommand('interrupted')
const { context, must, start } = command
beforeAll(() => { importBusybox(command) })

const slow = { Dockerfile: 'FROM busybox\nRUN echo first >/first\nRUN echo step is running; (setsid sleep 1000 &); sleep 1000\n' }

/** A build that has come to its slow step. */
async function startSlowBuild(): Promise<ChildProcess> {
  const child = start('build', '--progress', 'plain', '--memory', '64m', context('slow', slow))
  let output = ''
  for await (const chunk of child.stderr ?? []) {
    output += String(chunk)
    if (output.includes(' step is running')) break
  }
  expect(output).toContain('step is running')
  return child
}

async function untilGone(before: readonly string[]): Promise<string[]> {
  const find = (): string[] => [...leftovers(command.root), ...containerGroups().filter((name) => !before.includes(name))]
  let found = find()
  for (let tries = 0; tries < 40 && found.length > 0; tries += 1) {
    await setTimeout(50)
    found = find()
  }
  return found
}

function containerGroups(): string[] {
  return findHierarchies().flatMap(({ ownGroup }) => readdirSync(ownGroup).filter((name) => name.includes('tsbuild')))
}

describe('a build that is interrupted', () => {
  it('by kill -9 leaves no mount, process or cgroup, and the next build and fsck succeed', async () => {
    const before = containerGroups()
    const child = await startSlowBuild()
    expect(leftovers(command.root)).not.toEqual([])
    child.kill('SIGKILL')
    await once(child, 'close')
    expect(await untilGone(before)).toEqual([])
    must('build', context('next', { Dockerfile: 'FROM busybox\nRUN echo after >/after\n' }))
    expect(await untilGone(before)).toEqual([])
    await expectClean(command.root)
    expect(must('fsck')).toContain('clean')
  })

  it.each([['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const)('by %s ends at once with its exit code and leaves nothing', async (signal, exitCode) => {
    const child = await startSlowBuild()
    const asked = Date.now()
    child.kill(signal)
    const [code] = await once(child, 'close') as [number | null]
    expect(code).toBe(exitCode)
    expect(Date.now() - asked).toBeLessThan(5000)
    expect(leftovers(command.root)).toEqual([])
    expect(existsSync(command.root)).toBe(true)
    expect(must('fsck')).toContain('clean')
  })
})
