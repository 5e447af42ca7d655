import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { makeFolder } from './make-folder.ts'

const folder = mkdtempSync(join(tmpdir(), 'make-folder-'))
afterAll(() => { rmSync(folder, { recursive: true }) })

it('makes what is missing above as well, and says whether it was there', () => {
  const path = join(folder, 'a/b/c')
  expect([makeFolder(path, 0o700), makeFolder(path, 0o700)]).toEqual([true, false])
  expect([path, join(folder, 'a')].map((each) => statSync(each).mode & 0o777)).toEqual([0o700, 0o700])
})

it('fails where nothing can be made, instead of trying for ever', () => {
  expect(() => makeFolder('/proc/none/deeper')).toThrow(expect.objectContaining({ code: 'ENOENT', path: '/proc/none' }) as Error)
})

it('takes no file for a folder', () => {
  const file = join(folder, 'file')
  writeFileSync(file, '')
  expect(() => makeFolder(file)).toThrow(expect.objectContaining({ code: 'EEXIST' }) as Error)
  expect(() => makeFolder(join(file, 'below'))).toThrow(expect.objectContaining({ code: 'ENOTDIR' }) as Error)
})
