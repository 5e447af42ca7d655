import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { useCommand } from '../support/command.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const config = join(useTemporaryFolder('prune-config'), 'config.toml')
writeFileSync(config, '[[gc]]\nfilter = ["type=cache", "until=48h"]\n[[gc]]\nkeep-last = 1\nfilter = ["type=image"]\n')
const tsbuild = useCommand('prune', { env: { TSBUILD_CONFIG: config } })

interface Removed { readonly removed: readonly { readonly kind: string; readonly names: readonly string[] }[]; readonly bytes: number; readonly inodes: number }
interface Size { readonly bytes: number; readonly inodes: number }
interface Usage { readonly images: { readonly count: number }; readonly cache: { readonly count: number }; readonly total: Size; readonly own: Size; readonly perImage: readonly { readonly names: readonly string[]; readonly unique: { readonly inodes: number } }[] }

const usage = (): Usage => JSON.parse(tsbuild.must('df', '--json')) as Usage
/** Without the database, which grows and shrinks by itself. */
const content = ({ total, own }: Usage): Size => ({ bytes: total.bytes - own.bytes, inodes: total.inodes - own.inodes })
const names = (): string[] => usage().perImage.flatMap((image) => image.names).sort()

function build(name: string, text: string, ...args: readonly string[]): void {
  tsbuild.must('-q', '-t', name, ...args, tsbuild.context(name.replace(/\W/gu, '-'), { Dockerfile: 'FROM scratch\nCOPY base /base\nCOPY own /own\n', base: 'the same', own: text }))
}

/** What the dry run said, after the real one said the same and df agrees. */
function remove(command: string, ...args: readonly string[]): Removed {
  const before = usage()
  const predicted = JSON.parse(tsbuild.must(command, ...args, '--dry-run', '--json')) as Removed
  expect(usage()).toMatchObject({ images: before.images, cache: before.cache })
  expect(content(usage())).toEqual(content(before))
  const done = JSON.parse(tsbuild.must(command, ...args, '--json')) as Removed
  expect(done).toEqual({ ...predicted, dryRun: false })
  const [held, left] = [content(before), content(usage())]
  expect({ bytes: held.bytes - left.bytes, inodes: held.inodes - left.inodes }).toEqual({ bytes: done.bytes, inodes: done.inodes })
  return done
}

describe('prune and gc', () => {
  it('remove what they are told to, as the dry run says, and df counts', () => {
    for (const [name, text] of [['app:1', 'one'], ['app:2', 'two'], ['app:3', 'three'], ['other:1', 'four']] as const) build(name, text, '--label', `number=${text}`)
    build('app:1', 'one again')
    expect(usage()).toMatchObject({ images: { count: 5 } })
    // One document each, and the last layer, but for what the cache holds.
    expect(usage().perImage.every(({ unique }) => unique.inodes === 2)).toBe(true)
    expect(remove('prune').removed.map(({ kind }) => kind)).toEqual(['cache', 'image'])
    expect(remove('prune').removed).toEqual([])
    expect(remove('gc', '--filter', 'type=image', '--filter', 'label=number=two').removed).toMatchObject([{ names: ['docker.io/library/app:2'] }])
    expect(remove('gc', '--filter', 'until=1h').removed).toEqual([])
    expect(remove('gc', '--filter', 'reference=app*', '--keep-last', '1').removed).toMatchObject([{ names: ['docker.io/library/app:3'] }])
    expect(names()).toEqual(['docker.io/library/app:1', 'docker.io/library/other:1'])
    expect(remove('builder', 'prune', '-a').removed.length).toBeGreaterThan(1)
    expect(usage()).toMatchObject({ images: { count: 2 }, cache: { count: 0 } })
    remove('prune', '-af')
    expect(usage()).toMatchObject({ images: { count: 0 }, garbage: { bytes: 0, inodes: 0 } })
    expect(usage()).toMatchObject({ images: { size: { bytes: 0, inodes: 0 } }, cache: { size: { bytes: 0, inodes: 0 } }, mounts: { size: { bytes: 0, inodes: 0 } }, underway: { bytes: 0, inodes: 0 } })
  })

  it('take policies from the configuration file, and say when a budget cannot be reached', () => {
    tsbuild.must('prune', '-af')
    build('app:1', 'one')
    build('app:2', 'two')
    expect(JSON.parse(tsbuild.must('gc', '--json'))).toMatchObject({ removed: [{ kind: 'image', names: ['docker.io/library/app:1'] }] })
    const { exitCode, stderr } = tsbuild.run('gc', '-q', '--filter', 'reference=app', '--min-free-bytes', '100%')
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('free bytes, wanted')])
    expect(names()).toEqual([])
  })

  it('leave alone what a running build uses', async () => {
    tsbuild.must('prune', '-af')
    build('base:1', 'base')
    const running = tsbuild.start('-q', '-t', 'next:1', tsbuild.context('next', { Dockerfile: 'FROM base:1\nCOPY big /big\n', big: 'x'.repeat(30_000_000) }))
    const ended = new Promise<number | null>((resolve) => { running.on('exit', resolve) })
    while (running.exitCode === null) {
      tsbuild.run('prune', '-af', '--filter', 'reference=base')
      await new Promise((resolve) => { setTimeout(resolve, 1) })
    }
    const exitCode = await ended
    // Either the base was gone before the build looked for it, and no registry has it, or the build is whole.
    expect([0, 3, 4]).toContain(exitCode)
    if (exitCode === 0) tsbuild.must('save', '-o', join(tsbuild.folder, 'next.tar'), 'next:1')
  })
})
