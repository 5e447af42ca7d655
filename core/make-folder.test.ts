import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { makeFolder } from './make-folder.ts'

const root = mkdtempSync(join(tmpdir(), 'tsbuild-make-folder-'))
afterAll(() => { rmSync(root, { recursive: true, force: true }) })

describe('makeFolder', () => {
  it('makes what is missing above it as well, and says whether it was there', () => {
    const folder = join(root, 'a/b/c')
    expect([makeFolder(folder, 0o700), makeFolder(folder), makeFolder(root)]).toEqual([true, false, false])
    for (const each of [folder, join(root, 'a')]) expect(statSync(each).mode & 0o777).toBe(0o700)
    symlinkSync('a/b', join(root, 'link'))
    expect([makeFolder(join(root, 'link')), makeFolder(join(root, 'link/d'))]).toEqual([false, true])
  })

  it('ends where no folder can be made', () => {
    writeFileSync(join(root, 'file'), '')
    symlinkSync('nowhere', join(root, 'dangling'))
    for (const path of ['/proc/no', '/proc/no/such', '/sys/no', join(root, 'dangling'), join(root, 'dangling/x')]) expect(() => makeFolder(path), path).toThrow(/ENOENT|EPERM|EROFS/u)
    expect(() => makeFolder(join(root, 'file'))).toThrow('EEXIST')
    expect(() => makeFolder(join(root, 'file/x'))).toThrow('ENOTDIR')
  })
})
