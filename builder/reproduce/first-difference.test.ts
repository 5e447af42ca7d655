import { describe, expect, it } from 'vitest'
import type { LayerEntry } from '../forensics/layer-entry.ts'
import { entryDifference } from './first-difference.ts'

function file(path: string, rest: Partial<LayerEntry> = {}): LayerEntry {
  return { path, type: 'file', mode: 0o644, uid: 0, gid: 0, sizeBytes: 1, mtime: '2026-01-01T00:00:00.000Z', target: undefined, xattrs: {}, digest: 'sha256:a', ...rest }
}

describe('the first difference of two layers', () => {
  it('is of the first path in byte order, and its weightiest field', () => {
    const first = [file('/z', { mode: 0o600 }), file('/b', { digest: 'sha256:b', mtime: 'x' }), file('/a')]
    expect(entryDifference(first, [file('/a'), file('/b'), file('/z')])).toEqual({ path: '/b', field: 'content', first: '"sha256:b"', second: '"sha256:a"' })
  })

  it('names what only one has, and what differs beside content', () => {
    expect(entryDifference([file('/a')], [])).toEqual({ path: '/a', field: 'presence', first: 'file', second: 'absent' })
    for (const [field, change] of [['mode', { mode: 1 }], ['uid', { uid: 1 }], ['mtime', { mtime: 'later' }], ['xattrs', { xattrs: { 'user.a': 'Yg==' } }], ['type', { type: 'fifo' }]] as const) {
      expect(entryDifference([file('/a')], [file('/a', change)]), field).toMatchObject({ path: '/a', field })
    }
  })

  it('is of the order when every entry is the same', () => {
    expect(entryDifference([file('/a'), file('/b')], [file('/b'), file('/a')])).toMatchObject({ field: 'order or encoding of entries' })
  })
})
