import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseDigest } from '../../oci/digest.ts'
import { createLayout, formatDirId, parseDirId } from './layout.ts'

describe('directory ids', () => {
  it('are short and read back', () => {
    fc.assert(fc.property(fc.nat(), (number) => { expect(parseDirId(formatDirId(number))).toBe(number) }))
    expect(formatDirId(60_000_000).length).toBeLessThanOrEqual(6)
  })
  it.each(['', '01', 'A', '..', 'a/b', 'zzzzzzzzzzzz'])('are not %j', (name) => { expect(parseDirId(name)).toBeUndefined() })
})

it('keeps blobs where an OCI image layout has them', () => {
  const layout = createLayout('/r')
  expect(layout.blob(parseDigest(`sha256:${'a'.repeat(64)}`))).toBe(`/r/content/blobs/sha256/${'a'.repeat(64)}`)
  expect(layout.blob(parseDigest(`sha512:${'b'.repeat(128)}`))).toBe(`/r/content/blobs/sha512/${'b'.repeat(128)}`)
})
