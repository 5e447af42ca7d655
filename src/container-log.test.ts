import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { encodeLogEntry, readLog } from './container-log.ts'

const folder = mkdtempSync(join(tmpdir(), 'tsbuild-container-log-'))
afterAll(() => { rmSync(folder, { recursive: true }) })

/** What is read of a log to which these texts are added, one for each look at it. */
async function follow(name: string, texts: readonly string[], lastLines: number): Promise<string> {
  const path = join(folder, name)
  const coming = [...texts]
  const isFollowed = (): boolean => {
    const next = coming.shift()
    if (next !== undefined) appendFileSync(path, next)
    return next !== undefined
  }
  let read = ''
  for await (const { bytes } of readLog(path, { isFollowed, lastLines })) read += Buffer.from(bytes).toString()
  return read
}

const entry = (text: string): string => encodeLogEntry({ stream: 'stdout', bytes: Buffer.from(text) })

it('shortens what is there when it begins, and nothing that comes', async () => {
  expect(await follow('all', [entry('1\n2\n'), entry('3\n4\n')], Infinity)).toBe('1\n2\n3\n4\n')
  expect(await follow('some', [entry('1\n2\n'), entry('3\n4\n')], 1)).toBe('2\n3\n4\n')
  expect(await follow('none', ['', '', entry('1\n2\n'), entry('3\n')], 0)).toBe('1\n2\n3\n')
})

it('waits for the rest of an entry that is being written', async () => {
  const whole = entry('one\n')
  expect(await follow('torn', [whole.slice(0, 20), whole.slice(20) + entry('two\n').slice(0, 5)], Infinity)).toBe('one\n')
})

it('is empty where nothing was written yet', async () => {
  expect(await follow('absent', [], Infinity)).toBe('')
})
