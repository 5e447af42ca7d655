import { describe, expect, it } from 'vitest'
import { FileTree } from './file-tree.ts'
import { WasteFinder } from './waste.ts'

const file = (layer: number, bytes: number) => ({ layer, bytes, inodes: 1, isDirectory: false })
const directory = (layer: number) => ({ layer, bytes: 0, inodes: 1, isDirectory: true })

describe('waste', () => {
  it('is what later layers replace or delete, directories with all in them', () => {
    const finder = new WasteFinder()
    finder.add(['a'], file(0, 100))
    finder.add(['d'], directory(0))
    finder.add(['d', 'x'], file(0, 30))
    finder.add(['d', 'y'], file(0, 20))
    finder.add(['d'], directory(1))
    finder.add(['d', 'x'], file(1, 40))
    finder.add(['a'], file(1, 100))
    finder.hide(['d'], { layer: 2, isOpaque: false })
    expect(finder.result(10)).toEqual({
      bytes: 190, inodes: 5,
      largest: [
        { path: '/a', bytes: 100, layer: 0, by: 1, how: 'replaced' },
        { path: '/d/x', bytes: 40, layer: 1, by: 2, how: 'deleted' },
        { path: '/d/x', bytes: 30, layer: 0, by: 1, how: 'replaced' },
        { path: '/d/y', bytes: 20, layer: 0, by: 2, how: 'deleted' },
      ],
    })
  })

  it('leaves what an opaque directory of the same layer holds', () => {
    const finder = new WasteFinder()
    finder.add(['d', 'old'], file(0, 10))
    finder.add(['d', 'new'], file(1, 5))
    finder.hide(['d'], { layer: 1, isOpaque: true })
    finder.hide(['gone'], { layer: 1, isOpaque: false })
    expect(finder.result(10)).toMatchObject({ bytes: 10, largest: [{ path: '/d/old', how: 'deleted' }] })
  })
})

describe('a file tree', () => {
  it('sums up what is too small to be shown, and loses nothing', () => {
    const tree = new FileTree()
    tree.add(['big'], 10_000, 1)
    for (let index = 0; index < 1000; index += 1) tree.add(['many', `f${index}`], 1, 1)
    const node = tree.toNode('/', 100)
    expect(node).toMatchObject({ bytes: 11_000, inodes: 1001, children: [{ name: 'big' }, { name: 'many', bytes: 1000, children: [{ name: '… 1000 more', inodes: 1000 }] }] })
  })
})
