import { describe, expect, it } from 'vitest'
import { measureWaste } from './examine.ts'
import type { WasteReport } from './examine.ts'
import type { LayerEntry } from './layer-entry.ts'
import { MergedTree } from './merged-tree.ts'

function entry(path: string, type: LayerEntry['type'], rest: Partial<LayerEntry> = {}): LayerEntry {
  return { path, type, mode: 0o644, uid: 0, gid: 0, sizeBytes: 0, mtime: undefined, target: undefined, xattrs: {}, digest: undefined, ...rest }
}
const file = (path: string, sizeBytes = 10, digest = `${path} ${sizeBytes}`): LayerEntry => entry(path, 'file', { sizeBytes, digest })

function merge(...layers: readonly (readonly LayerEntry[])[]): { paths: string[]; waste: string[] } {
  const tree = new MergedTree()
  layers.forEach((entries, index) => { tree.apply(entries, index) })
  return { paths: [...tree.list()].map(({ path, layer }) => `${layer} ${path}`), waste: tree.waste.map(({ kind, path, bytes }) => `${kind} ${path} ${bytes}`) }
}

describe('a merged tree', () => {
  it('hides by whiteouts and opaque marks what lies below, wherever they stand in their layer', () => {
    const base = [entry('/d', 'directory'), file('/d/a'), file('/d/b'), file('/e')]
    expect(merge(base, [file('/d/c'), entry('/d/a', 'whiteout')])).toEqual({ paths: ['0 /d', '0 /d/b', '1 /d/c', '0 /e'], waste: ['deleted /d/a 10'] })
    expect(merge(base, [entry('/d', 'directory'), file('/d/a', 5), entry('/d', 'opaque')])).toEqual({ paths: ['1 /d', '1 /d/a', '0 /e'], waste: ['deleted /d/a 10', 'deleted /d/b 10'] })
    expect(merge(base, [entry('/d', 'whiteout')], [file('/d', 3)])).toEqual({ paths: ['2 /d', '0 /e'], waste: ['deleted /d/a 10', 'deleted /d/b 10', 'deleted /d 0'] })
    expect(merge(base, [file('/d', 3)]).paths).toEqual(['1 /d', '0 /e'])
  })

  it('tells what was written anew from what got other content', () => {
    expect(merge([file('/a', 10, 'same'), file('/b', 10, 'one')], [file('/a', 10, 'same'), file('/b', 20, 'two')]).waste).toEqual(['rewritten /a 10', 'overwritten /b 10'])
    expect(merge([entry('/d', 'directory')], [entry('/d', 'directory', { mode: 0o700 })]).waste).toEqual([])
    expect(merge([file('/a', 1), file('/a', 2)]).waste).toEqual([])
  })

  it('wastes a file only when its last name is gone', () => {
    const linked = [file('/a', 10), entry('/b', 'hard-link', { target: '/a' })]
    expect(merge(linked, [entry('/a', 'whiteout')])).toEqual({ paths: ['0 /b'], waste: [] })
    expect(merge(linked, [entry('/a', 'whiteout')], [entry('/b', 'whiteout')]).waste).toEqual(['deleted /b 10'])
  })
})

describe('waste', () => {
  const wasteOf = (...layers: readonly (readonly LayerEntry[])[]): WasteReport => {
    const tree = new MergedTree()
    layers.forEach((entries, index) => { tree.apply(entries, index) })
    return measureWaste({ tree, layers: layers.map((entries) => ({ diffId: '', step: '', entries })) })
  }

  it('is what later layers replace or delete, directories with all in them, the largest first', () => {
    const { bytes, inodes, items } = wasteOf(
      [file('/a', 100), entry('/d', 'directory'), file('/d/x', 30), file('/d/y', 20)],
      [entry('/d', 'directory'), file('/d/x', 40), file('/a', 100, 'new')],
      [entry('/d', 'whiteout')],
    )
    expect({ bytes, inodes }).toEqual({ bytes: 190, inodes: 5 })
    expect(items.filter((item) => item.bytes > 0)).toMatchObject([
      { path: '/a', bytes: 100, layer: 0, hiddenBy: 1, kind: 'overwritten' },
      { path: '/d/x', bytes: 40, layer: 1, hiddenBy: 2, kind: 'deleted' },
      { path: '/d/x', bytes: 30, layer: 0, hiddenBy: 1, kind: 'overwritten' },
      { path: '/d/y', bytes: 20, layer: 0, hiddenBy: 2, kind: 'deleted' },
    ])
  })

  it('leaves what an opaque directory of the same layer holds', () => {
    const { bytes, items } = wasteOf([file('/d/old', 10)], [file('/d/new', 5), entry('/d', 'opaque'), entry('/gone', 'whiteout')])
    expect({ bytes, items }).toMatchObject({ bytes: 10, items: [{ path: '/d/old', kind: 'deleted' }] })
  })
})
