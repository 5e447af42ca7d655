import { execFileSync } from 'node:child_process'
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { RootfsView } from '../../storage/index.ts'
import type { CopyRoot } from '../copy/place.ts'
import { readRoots } from '../copy/read-roots.ts'
import { rootDigest } from '../copy/root-digest.ts'
import { DirectoryView } from './directory-view.ts'
import { parseDockerignore } from './dockerignore.ts'
import { FileDigests } from './file-digests.ts'

const root = mkdtempSync(join(tmpdir(), 'tsbuild-view-'))
const server = createServer()
const odd = Buffer.concat([Buffer.from(join(root, 'tree', 'odd-')), Buffer.from([0xff, 0x0a, 0xc3])])

beforeAll(async () => {
  for (const folder of ['tree/a/deep/er', 'tree/a.b', 'tree/empty', 'tree/keep/in', 'tree/drop']) mkdirSync(join(root, folder), { recursive: true })
  for (const file of ['one', 'tree/a/1', 'tree/a/2', 'tree/a/deep/er/3', 'tree/a.b/4', 'tree/a-b', 'tree/keep/in/yes', 'tree/keep/no', 'tree/drop/all', 'tree/Ünï']) writeFileSync(join(root, file), `content of ${file}`)
  for (let number = 0; number < 20; number += 1) writeFileSync(join(root, 'tree', `n${number}`), String(number))
  writeFileSync(odd, 'odd')
  symlinkSync('../one', join(root, 'tree', 'link'))
  symlinkSync(odd, join(root, 'tree', 'odd-link'))
  linkSync(join(root, 'tree', 'a', '2'), join(root, 'tree', 'hard'))
  execFileSync('mkfifo', [join(root, 'tree', 'fifo')])
  utimesSync(join(root, 'tree', 'a', '1'), -5, -5.5)
  await new Promise<void>((resolve) => { server.listen(join(root, 'tree', 'socket'), resolve) })
})
afterAll(() => {
  server.close()
  rmSync(root, { recursive: true })
})

/** The same view, asked for each entry on its own. */
function withoutScan(view: DirectoryView): RootfsView {
  return {
    lstat: (path) => view.lstat(path),
    resolve: (path) => view.resolve(path),
    list: (path) => view.list(path),
    readFile: (path, maxBytes) => view.readFile(path, maxBytes),
    xattrs: (path) => view.xattrs(path),
    content: (path) => view.content(path),
  }
}

function shown(roots: readonly CopyRoot[]): unknown {
  return roots.map(({ name, entries }) => [name.toString('latin1'), entries.map(({ relative, entry, content, xattrs }) => ({ relative: relative.toString('latin1'), ...entry, content, xattrs: [...xattrs] }))])
}

const nothing = { excludes: [], keepsParents: false }
const ignoreFiles = ['', 'tree/drop\ntree/keep\n!tree/keep/in/yes', '**/*\n!tree/a/**/3\n!tree/n1*', '**/[1-3]', 'tree/*\n!tree/keep/in', 'tree/Ü*']

describe('a scan of a local folder', () => {
  for (const ignore of ignoreFiles) {
    for (const pattern of ['/', 'tree', 'one', 'tree/link', 'tree/fifo', 'tree/n*', 'tree/n1', 'tree/a*', 'tree/keep', 'nothing']) {
      it(`finds under "${pattern}" what asking for each file finds, with the ignore file ${JSON.stringify(ignore)}`, async () => {
        const view = new DirectoryView(root, parseDockerignore(ignore))
        const [scanned, asked] = [await readRoots(view, pattern), await readRoots(withoutScan(view), pattern)]
        expect(await Promise.all(scanned.map(rootDigest))).toEqual(await Promise.all(asked.map(rootDigest)))
        expect(shown(scanned)).toEqual(shown(asked))
      })
    }
  }

  it('finds what asking for each file finds with --exclude and --parents', async () => {
    const view = new DirectoryView(root, parseDockerignore(''))
    for (const options of [{ excludes: ['**/1', 'keep'], keepsParents: false }, { excludes: [], keepsParents: true }]) {
      expect(shown(await readRoots(view, 'tree/./a', options))).toEqual(shown(await readRoots(withoutScan(view), 'tree/./a', options)))
    }
  })

  it('does not depend on the order of directories', async () => {
    const views = [true, false].map((readsBackwards) => new DirectoryView(root, parseDockerignore(''), { readsBackwards }))
    const [one, other] = await Promise.all(views.map(async (view) => shown(await readRoots(view, 'tree'))))
    expect(one).toEqual(other)
  })

  it('keeps digests by directory and believes those of files that did not change', async () => {
    const saved = new Map<string, Uint8Array>()
    const records = { load: (_: string, folder: Buffer) => saved.get(folder.toString('latin1')), save: (_: string, listings: ReadonlyMap<string, Uint8Array>) => { for (const [folder, listing] of listings) saved.set(folder, Buffer.from(listing)) } }
    const folder = join(root, 'kept')
    mkdirSync(join(folder, 'in'), { recursive: true })
    for (const name of ['x', 'y', 'in/z']) writeFileSync(join(folder, name), name)
    const digestOf = async (pattern: string): Promise<string> => {
      const digests = new FileDigests(records, folder)
      const [found] = await readRoots(new DirectoryView(folder, parseDockerignore(''), { digests }), pattern, nothing)
      const digest = found === undefined ? '' : await rootDigest(found)
      digests.save()
      return digest
    }
    // The files are old enough for their times to be believed.
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2100 })
    onTestFinished(() => { vi.useRealTimers() })
    const before = [await digestOf('/'), await digestOf('x')]
    expect([...saved.keys()].sort()).toEqual(['/', '/in'])
    // What is believed shows when it is wrong.
    for (const [key, listing] of saved) saved.set(key, Buffer.from(Buffer.from(listing).toString('latin1').replaceAll(Buffer.from('2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881', 'hex').toString('latin1'), 'x'.repeat(32)), 'latin1'))
    expect(await digestOf('/')).not.toBe(before[0])
    expect(await digestOf('x')).not.toBe(before[1])
    writeFileSync(join(folder, 'x'), 'x')
    expect([await digestOf('/'), await digestOf('x')]).toEqual(before)
  })
})

describe('a path of a local folder', () => {
  it.each([
    ['tree/drop', 'tree/drop/all', 'own.dockerignore'], ['tree/drop', 'tree/a/1', undefined], ['tree/drop', 'tree/drop/none', undefined],
    ['one/*', 'one/below', undefined], ['**/*\n!tree/keep', 'tree/a', 'own.dockerignore'], ['**/*\n!tree/keep', 'tree/keep/no', undefined],
  ])('is hidden by the ignore file only if it is there: %j, %s', (ignore, path, hiddenBy) => {
    expect(new DirectoryView(root, parseDockerignore(ignore), { ignoreName: 'own.dockerignore' }).hiddenBy(`/${path}`)).toBe(hiddenBy)
  })
})
