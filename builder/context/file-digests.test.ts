import type { BigIntStats } from 'node:fs'
import { lstatSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { treeEntry } from '../../storage/index.ts'
import { FileDigests, identifyFile } from './file-digests.ts'

const folder = mkdtempSync(join(tmpdir(), 'tsbuild-digests-'))
const path = join(folder, 'file')
afterAll(() => { rmSync(folder, { recursive: true }) })

const saved = new Map<string, ReadonlyMap<string, string>>()
const records = { load: (root: string) => saved.get(root) ?? new Map<string, string>(), save: (root: string, digests: ReadonlyMap<string, string>) => { saved.set(root, new Map(digests)) } }
const stats = (): ReturnType<typeof lstatSync> => lstatSync(path, { bigint: true })

/** What a build gets for the file, and whether it read it. */
function ask(laterMs: number, content: string): { readonly digest: string; readonly isRead: boolean } {
  vi.spyOn(Date, 'now').mockReturnValue(Math.trunc(statSync(path).ctimeMs) + laterMs)
  const digests = new FileDigests(records, folder)
  let isRead = false
  const taken = stats()
  if (taken === undefined || typeof taken.size !== 'bigint') throw new TypeError('no file')
  const digest = digests.get(Buffer.from('file'), identifyFile(treeEntry(taken as BigIntStats, undefined), taken as BigIntStats), () => {
    isRead = true
    return content
  })
  digests.save()
  vi.restoreAllMocks()
  return { digest, isRead }
}

describe('digests of files', () => {
  it('are known in the next build when the file was old enough', () => {
    writeFileSync(path, 'one')
    expect(ask(5000, 'digest of one')).toEqual({ digest: 'digest of one', isRead: true })
    expect(ask(5000, 'never read')).toEqual({ digest: 'digest of one', isRead: false })
  })

  it('are taken again when the file changed, also when its time was put back', () => {
    const { mtime } = statSync(path)
    writeFileSync(path, 'two')
    utimesSync(path, mtime, mtime)
    expect(ask(5000, 'digest of two')).toEqual({ digest: 'digest of two', isRead: true })
  })

  it('are not kept for a file that was just written', () => {
    writeFileSync(path, 'three')
    expect(ask(500, 'digest of three').isRead).toBe(true)
    expect(ask(900, 'digest of four')).toEqual({ digest: 'digest of four', isRead: true })
  })
})
