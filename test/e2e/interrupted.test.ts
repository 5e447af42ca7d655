import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { findHierarchies } from '../../runtime/cgroup/hierarchies.ts'
import { expectNothingLeft, importBusybox, leftovers, orphanedHelpers, useCommand } from '../support/command.ts'
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

async function untilGone(before: readonly string[]): Promise<void> {
  await expect.poll(() => [...leftovers(command.root), ...orphanedHelpers(), ...containerGroups().filter((name) => !before.includes(name))]).toEqual([])
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
    await untilGone(before)
    must('build', context('next', { Dockerfile: 'FROM busybox\nRUN echo after >/after\n' }))
    await untilGone(before)
    await expectClean(command.root)
    expect(must('fsck')).toContain('clean')
  })

  it.each([['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const)('by %s ends at once with its exit code and leaves nothing', async (signal, exitCode) => {
    const child = await startSlowBuild()
    child.kill(signal)
    // The step would take longer than a test may.
    const [code] = await once(child, 'close') as [number | null]
    expect(code).toBe(exitCode)
    await expectNothingLeft(command.root)
    expect(existsSync(command.root)).toBe(true)
    expect(must('fsck')).toContain('clean')
  })
})
