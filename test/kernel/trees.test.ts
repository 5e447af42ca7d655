import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { measureTrees, removeTrees, syncTrees } from '../../storage/tree/upkeep-trees.ts'
import { task } from '../support/streams.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const folder = useTemporaryFolder('trees')

/** Trees as hard to delete as a container can make them. */
function makeTree(name: string, depth: number): string {
  const tree = join(folder, name)
  mkdirSync(tree)
  execFileSync('perl', ['-e', `
    for (1..${depth}) { mkdir "deep" or die; open F, ">file" or die; chdir "deep" or die }
    open F, ">last" or die;`], { cwd: tree })
  execFileSync('sh', ['-c', `
    mkdir locked sealed && touch locked/file sealed/file sealed/$(printf 'n\\377\\n') && ln locked/file locked/link && mkfifo fifo && mknod null c 1 3 && ln -s / link &&
    chattr +a locked/file && chattr +i sealed/file sealed && chmod 000 locked && touch plain && chmod 000 plain`], { cwd: tree })
  return tree
}

describe('trees of the helper', () => {
  it('are deleted however deep, unreadable or immutable they are, and nothing beside them', async () => {
    const tree = makeTree('hard', 3000)
    const outside = join(folder, 'outside')
    mkdirSync(outside)
    writeFileSync(join(outside, 'file'), '')
    execFileSync('ln', ['-s', outside, join(tree, 'way-out')])
    await removeTrees(folder, [tree, join(folder, 'not-there'), join(tree, 'gone-with-it')], task)
    expect(existsSync(tree)).toBe(false)
    expect(existsSync(join(outside, 'file'))).toBe(true)
  })

  it('are measured with each inode once', async () => {
    const tree = join(folder, 'measured')
    mkdirSync(tree)
    execFileSync('sh', ['-c', 'mkdir d && head -c 10000 /dev/zero > d/a && ln d/a d/b && ln -s x l'], { cwd: tree })
    const [size] = await measureTrees(folder, [tree], task)
    const blocks = Number(execFileSync('du', ['-s', '--block-size=512', tree], { encoding: 'utf8' }).split('\t')[0])
    expect(size).toEqual({ inodes: 4, diskBytes: blocks * 512 })
  })

  it('are flushed whatever is in them, and a missing one is an error', async () => {
    const tree = makeTree('flushed', 20)
    await syncTrees(folder, [tree], task)
    await expect(syncTrees(folder, [join(folder, 'not-there')], task)).rejects.toMatchObject({ code: 'STORAGE_TREE_FAILURE', errnoName: 'ENOENT', path: join(folder, 'not-there') })
    await removeTrees(folder, [tree], task)
  })
})
