import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { findHierarchies } from '../../runtime/cgroup/hierarchies.ts'
import { expectNothingLeft, importBusybox, leftovers, orphanedHelpers, readProc, useCommand } from '../support/command.ts'
import { expectClean } from '../support/stores.ts'

const command = useCommand('interrupted')
const { context, must, start } = command
beforeAll(() => { importBusybox(command) })

const slow = { Dockerfile: 'FROM busybox\nRUN echo first >/first\nRUN echo step is running; (setsid sleep 1000 &); sleep 1000\n' }

const ran = /^#\d+ \d+\.\d+s step is running$/mu

/** A build that has come to its slow step. */
async function startSlowBuild(): Promise<ChildProcess> {
  const child = start('build', '--progress', 'plain', '--memory', '64m', context('slow', slow))
  onTestFinished(() => { child.kill('SIGKILL') })
  let output = ''
  for await (const chunk of child.stderr ?? []) {
    output += String(chunk)
    // Its own words, not those of the instruction, which are said before it is run.
    if (ran.test(output)) break
  }
  expect(output).toMatch(ran)
  return child
}

async function untilGone(groups: readonly string[]): Promise<void> {
  await expect.poll(() => [...leftovers(command.root), ...orphanedHelpers(), ...containerGroups().filter((group) => groups.includes(group))]).toEqual([])
}

function containerGroups(): string[] {
  return findHierarchies().flatMap(({ ownGroup }) => readdirSync(ownGroup).filter((name) => name.includes('tsbuild')).map((name) => join(ownGroup, name)))
}

/** Those that hold descendants of a process: other tests may run containers at the same time. */
function groupsOf(ancestor: ChildProcess): string[] {
  return containerGroups().filter((group) => readFileSync(join(group, 'cgroup.procs'), 'utf8').trim().split('\n').some((pid) => isBelow(pid, String(ancestor.pid))))
}

function isBelow(pid: string, ancestor: string): boolean {
  const parent = /^PPid:\t(\d+)$/mu.exec(readProc(pid, 'status'))?.[1]
  return parent !== undefined && (parent === ancestor || isBelow(parent, ancestor))
}

describe('a build that is interrupted', () => {
  it('by kill -9 leaves no mount, process or cgroup, and the next build and fsck succeed', async () => {
    const child = await startSlowBuild()
    const groups = groupsOf(child)
    expect(groups).not.toEqual([])
    child.kill('SIGKILL')
    await once(child, 'close')
    await untilGone(groups)
    must('build', context('next', { Dockerfile: 'FROM busybox\nRUN echo after >/after\n' }))
    await untilGone(groups)
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
