import { describe, expect, it } from 'vitest'
import { FileTree } from './file-tree.ts'

describe('a file tree', () => {
  it('sums up what is too small to be shown, and loses nothing', () => {
    const tree = new FileTree()
    tree.add(['big'], 10_000, 1)
    for (let index = 0; index < 1000; index += 1) tree.add(['many', `f${index}`], 1, 1)
    const node = tree.toNode('/', 100)
    expect(node).toMatchObject({ bytes: 11_000, inodes: 1001, children: [{ name: 'big' }, { name: 'many', bytes: 1000, children: [{ name: '… 1000 more', inodes: 1000 }] }] })
  })
})
