import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { BuildEvent } from '../events.ts'
import { BuildProgress } from './build-progress.ts'
import { folderNames, recordsFolder } from './build-record.ts'
import { Recorder } from './recorder.ts'

const root = mkdtempSync(join(tmpdir(), 'tsbuild-recorder-'))
afterEach(() => { rmSync(recordsFolder(root), { recursive: true, force: true }) })

function recordBefore(count: number): void {
  for (let index = 0; index < count; index += 1) mkdirSync(join(recordsFolder(root), `00000${String(index).padStart(4, '0')}-${'0'.repeat(12)}`), { recursive: true })
}

function record(...events: readonly BuildEvent[]): void {
  const recorder = new Recorder(root, { id: 'f'.repeat(12), title: 'x', startedAtMs: Date.now(), command: undefined })
  const progress = new BuildProgress()
  const finished: BuildEvent = { type: 'build-finished', build: 'f'.repeat(12), outcome: 'succeeded', atMs: Date.now(), image: undefined, error: undefined }
  for (const event of [...events, finished]) {
    progress.handle(event)
    recorder.handle(event)
  }
  recorder.finish(progress)
  expect(recorder.failure).toBeUndefined()
}

describe('a recorder', () => {
  it('removes old records with every sixteenth build', () => {
    recordBefore(206)
    record()
    expect(folderNames(root)).toHaveLength(207)
    record()
    expect(folderNames(root)).toHaveLength(200)
  })

  it('removes old records after a long log', () => {
    recordBefore(202)
    record({ type: 'warning-raised', rule: 'Long', message: 'x'.repeat(2_000_000), range: undefined })
    expect(folderNames(root)).toHaveLength(200)
  })
})
