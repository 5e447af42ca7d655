import { mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { readFolder } from '../../storage/index.ts'
import { FileDigests, youngestKeptNs } from './file-digests.ts'

const root = mkdtempSync(join(tmpdir(), 'tsbuild-digests-'))
const path = join(root, 'file')
afterAll(() => { rmSync(root, { recursive: true }) })

const saved = new Map<string, Uint8Array>()
const records = {
  load: (_: string, folder: Buffer) => saved.get(folder.toString('latin1')),
  save: (_: string, listings: ReadonlyMap<string, Uint8Array>) => { for (const [folder, listing] of listings) saved.set(folder, Buffer.from(listing)) },
}

/** What a build knows of the file before it reads it, this long after the file changed. */
async function ask(laterMs: number): Promise<string | undefined> {
  vi.spyOn(Date, 'now').mockReturnValue(Math.trunc(statSync(path).ctimeMs) + laterMs)
  const digests = new FileDigests(records, root)
  const folder = Buffer.from('/')
  const listing = await readFolder(Buffer.from(root), { known: digests.recall(folder) })
  const start = listing.find(Buffer.from('file'))
  if (start === undefined) throw new TypeError('no file')
  const known = listing.digest(start)
  if (known === undefined && await listing.takeDigests([start], youngestKeptNs())) digests.keep(folder, listing, true)
  digests.save()
  vi.restoreAllMocks()
  return known
}

describe('digests of files', () => {
  it('are known in the next build when the file was old enough', async () => {
    writeFileSync(path, 'one')
    expect(await ask(5000)).toBeUndefined()
    expect(await ask(5000)).toBe('7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed')
  })

  it('are taken again when the file changed, also when its time was put back', async () => {
    const { mtime } = statSync(path)
    writeFileSync(path, 'two')
    utimesSync(path, mtime, mtime)
    expect(await ask(5000)).toBeUndefined()
    expect(await ask(5000)).toBe('3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3')
  })

  it('are not kept for a file that was just written', async () => {
    writeFileSync(path, 'three')
    expect(await ask(500)).toBeUndefined()
    expect(await ask(900)).toBeUndefined()
  })

  it('of single files are kept beside those of the others', async () => {
    const folder = join(root, 'folder')
    mkdirSync(folder)
    for (const name of ['a', 'b', 'c']) writeFileSync(join(folder, name), name)
    const digests = new FileDigests(records, root)
    const far = 1n << 62n
    for (const name of ['c', 'a', 'b']) {
      const listing = await readFolder(Buffer.from(folder), { only: Buffer.from(name) })
      expect(await listing.takeDigests(listing.starts(), far)).toBe(true)
      digests.keep(Buffer.from('/folder'), listing, false)
    }
    const listing = await readFolder(Buffer.from(folder), { known: digests.recall(Buffer.from('/folder')) })
    expect(listing.starts().map((start) => [listing.nameText(start, 'utf8'), listing.digest(start)?.slice(0, 4)])).toEqual([['a', 'ca97'], ['b', '3e23'], ['c', '2e7d']])
  })
})
