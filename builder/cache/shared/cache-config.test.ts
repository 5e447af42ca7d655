import { describe, expect, it } from 'vitest'
import type { Descriptor } from '../../../oci/descriptor.ts'
import { sha256 } from '../../../oci/digest.ts'
import type { DiffId } from '../../../oci/digest.ts'
import { MalformedDocument } from '../../../oci/errors.ts'
import { encodeInlineCache, inlineField, parseInlineCache } from './cache-config.ts'

const layers = [1, 2, 3, 4].map((number): Descriptor => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: sha256(`blob ${number}`), size: number }))
const diffIds = layers.map((_, index) => sha256(`tar ${index}`) as string as DiffId)
const [two, three] = [sha256('tar 2') as string as DiffId, sha256('tar 3') as string as DiffId]
const [key, other] = [sha256('key'), sha256('other')]

function read(field: unknown): ReturnType<typeof parseInlineCache> {
  return parseInlineCache(Buffer.from(JSON.stringify({ [inlineField]: field })), { layers, diffIds })
}

describe('an inline cache', () => {
  it('is a list of records, as BuildKit reads it', () => {
    const written = encodeInlineCache([{ key, layer: 2, diffId: two, created: undefined }, { key: other, layer: 3, diffId: three, created: '2026-01-02T03:04:05Z' }])
    expect(JSON.parse(Buffer.from(written, 'base64').toString())).toEqual([{ digest: key, layers: [{ layer: 2 }] }, { digest: other, layers: [{ layer: 3, createdAt: '2026-01-02T03:04:05Z' }] }])
    expect(read(written)).toEqual([{ key, blob: layers[2], diffId: diffIds[2], created: undefined }, { key: other, blob: layers[3], diffId: diffIds[3], created: '2026-01-02T03:04:05Z' }])
  })

  it('says also what a step results in whose layer is in no image', () => {
    const written = encodeInlineCache([{ key, layer: undefined, diffId: two, created: '2026-01-02T03:04:05Z' }])
    expect(JSON.parse(Buffer.from(written, 'base64').toString())).toEqual([{ digest: key, 'vnd.tsbuild.result': { diffID: two, createdAt: '2026-01-02T03:04:05Z' } }])
    expect(read(written)).toEqual([{ key, blob: undefined, diffId: two, created: '2026-01-02T03:04:05Z' }])
    expect(read(Buffer.from(JSON.stringify([{ digest: key, 'vnd.tsbuild.result': { diffID: 'x' } }])).toString('base64'))).toEqual([])
  })

  it('of Docker 26 is read, whatever its keys mean', () => {
    const records = [{ digest: sha256('source') }, { layers: [{ layer: 2, createdAt: '2026-11-22T14:11:53.913113924Z' }], digest: key, inputs: [[{ selector: other, link: 0 }], [{ link: 4 }]] }]
    expect(read(Buffer.from(JSON.stringify(records)).toString('base64'))).toEqual([{ key, blob: layers[2], diffId: diffIds[2], created: '2026-11-22T14:11:53.913113924Z' }])
  })

  it('that is none is refused, and none at all is empty', () => {
    for (const text of ['{}', 'x', '[1]', '[]}', '']) expect(() => read(Buffer.from(text).toString('base64')), text).toThrow(MalformedDocument)
    expect([read('W10='), read(undefined)]).toEqual([[], []])
  })
})
