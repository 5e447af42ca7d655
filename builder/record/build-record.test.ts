import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { eventsFile, folderNames, getBuild, listBuilds, pruneRecords, readBuildEvents, recordFile, recordsFolder, startTicks } from './build-record.ts'

const root = mkdtempSync(join(tmpdir(), 'tsbuild-records-'))
afterEach(() => { rmSync(recordsFolder(root), { recursive: true, force: true }) })

function write(index: number, { events = '', ...record }: { readonly events?: string; readonly [field: string]: unknown } = {}): string {
  const id = String(index).repeat(12)
  const folder = join(recordsFolder(root), `${(1_700_000_000_000 + index).toString(36).padStart(9, '0')}-${id}`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, recordFile), JSON.stringify({ version: 1, id, title: 'x', startedAtMs: index, outcome: 'succeeded', steps: { total: 1, cached: 0 }, process: { pid: process.pid, startTicks: startTicks(process.pid) }, ...record }))
  writeFileSync(join(folder, eventsFile), events)
  return id
}

describe('build records', () => {
  it('are found by the beginning of an id that only one has, or as the latest', () => {
    const first = write(1)
    const second = write(2)
    expect(getBuild(root, '11').id).toBe(first)
    expect(getBuild(root, 'latest').id).toBe(second)
    expect(listBuilds(root).map(({ id }) => id)).toEqual([second, first])
    expect(() => getBuild(root, '3')).toThrow(expect.objectContaining({ code: 'BUILDER_BUILD_NOT_FOUND' }))
    expect(() => getBuild(root, '')).toThrow(expect.objectContaining({ code: 'BUILDER_BUILD_NOT_FOUND' }))
  })

  it('of a running build are running as long as that very process lives', () => {
    const id = write(1, { outcome: 'running' })
    expect(getBuild(root, id).outcome).toBe('running')
    write(1, { outcome: 'running', process: { pid: process.pid, startTicks: '1' } })
    expect(getBuild(root, id).outcome).toBe('lost')
  })

  it('leave out the line that a killed process did not finish', () => {
    const id = write(1, { events: '{"type":"image-resolving","name":"a","atMs":1}\n{"type":"node-st' })
    expect(readBuildEvents(root, id)).toEqual([{ type: 'image-resolving', name: 'a', atMs: 1 }])
  })

  it('go, the oldest first, when there are too many or their logs too long; the newest stays', () => {
    for (const index of [1, 2, 3, 4]) write(index, { events: 'x'.repeat(100) })
    pruneRecords(root, { count: 3, bytes: 1000 })
    expect(listBuilds(root).map(({ startedAtMs }) => startedAtMs)).toEqual([4, 3, 2])
    pruneRecords(root, { count: 3, bytes: 250 })
    expect(listBuilds(root).map(({ startedAtMs }) => startedAtMs)).toEqual([4, 3])
    pruneRecords(root, { count: 3, bytes: 1 })
    expect(folderNames(root)).toHaveLength(1)
  })
})
