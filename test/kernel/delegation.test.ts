import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findHierarchies } from '../../runtime/cgroup/hierarchies.ts'

const unified = findHierarchies().find(({ kind }) => kind === 'v2')
const root = unified?.mountPoint ?? ''
/** A host of both versions has at least this one in the second. */
const controller = unified?.controllers.includes('memory') === true ? 'memory' : 'hugetlb'
const wasGiven = readFileSync(join(root, 'cgroup.subtree_control'), 'utf8').includes(controller)
const groups: string[] = []

beforeAll(() => { if (!wasGiven) writeFileSync(join(root, 'cgroup.subtree_control'), `+${controller}`) })
afterAll(() => {
  for (const group of groups) removeTree(group)
  if (!wasGiven) writeFileSync(join(root, 'cgroup.subtree_control'), `-${controller}`)
})

function removeTree(group: string): void {
  for (const entry of readdirSync(group, { withFileTypes: true })) if (entry.isDirectory()) rmdirSync(join(group, entry.name))
  rmdirSync(group)
}

function makeGroup(): string {
  const group = join(root, `tsbuild-delegated-${process.pid}-${groups.length}`)
  mkdirSync(group)
  groups.push(group)
  return group
}

const ask = (group: string, ...more: readonly string[]): unknown => JSON.parse(execFileSync(process.execPath, [join(import.meta.dirname, '../support/delegated-group.ts'), group, ...more], { encoding: 'utf8' }))

describe('a delegated group of version 2', () => {
  it('that only tsbuild is in gives its controllers to containers, because tsbuild moves to a group below it', () => {
    const group = makeGroup()
    expect(ask(group, controller)).toEqual({ place: { parent: group }, own: expect.stringContaining('/tsbuild-self-') as unknown, given: controller })
    expect(readdirSync(group).filter((name) => name.startsWith('tsbuild-self-'))).toHaveLength(1)
  })

  it('that holds processes of others is left as it is, and the error names one and the remedy', () => {
    const group = makeGroup()
    expect(ask(group, controller, 'stranger')).toEqual({ place: { reason: expect.stringMatching(/while sleep \(\d+\) is in it; .*Delegate=yes/u) as unknown }, own: group.slice(root.length), given: '' })
  })

  it('that lacks a controller itself says so', () => {
    const group = makeGroup()
    const inner = join(group, 'inner')
    mkdirSync(inner)
    groups.unshift(inner)
    expect(ask(inner, controller)).toMatchObject({ place: { reason: expect.stringContaining(`does not get the ${controller} controller from the groups above it`) as unknown } })
  })
})
