import { describe, expect, it } from 'vitest'
import { mediaTypes } from './descriptor.ts'
import { parseImageConfig } from './image-config.ts'
import { imageLayers, parseManifestDocument } from './manifest.ts'
import { sha256 } from './digest.ts'

const digest = sha256('x')
const blob = (mediaType: string): object => ({ mediaType, digest, size: 1 })
const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: blob(mediaTypes.ociConfig), layers: [blob(mediaTypes.ociLayerGzip)] }
const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [{ ...blob(mediaTypes.ociManifest), platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }] }
const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))
const text = JSON.stringify(manifest)

describe('parseManifestDocument', () => {
  it('reads a manifest, with or without its own media type', () => {
    const untyped = { ...manifest, mediaType: undefined }
    expect(parseManifestDocument(bytes(manifest))).toMatchObject({ kind: 'manifest', manifest: { layers: [{ digest }] } })
    expect(parseManifestDocument(bytes(untyped), mediaTypes.ociManifest)).toEqual(parseManifestDocument(bytes(manifest)))
  })

  it('reads an index and normalises its platforms', () => {
    expect(parseManifestDocument(bytes(index))).toMatchObject({ kind: 'index', index: { manifests: [{ platform: { os: 'linux', architecture: 'arm64' } }] } })
  })

  it.each([
    ['an index that is a manifest too', { ...index, layers: [], config: manifest.config }],
    ['a type other than the one announced', index, mediaTypes.ociManifest],
    ['a key given twice', text.replace('{', `{"layers":[],`)],
    ['a key given twice in another letter case', text.replace('{', `{"Layers":[],`)],
    ['a key given twice, once escaped', text.replace('{', String.raw`{"l\u0061yers":[],`)],
    ['the key __proto__', text.replace('{', `{"__proto__":{},`)],
    ['a byte order mark', `\u{FEFF}${text}`],
    ['text behind the document', `${text} x`],
    ['too deep nesting', text.replace('{', `{"a":${'['.repeat(70)}${']'.repeat(70)},`)],
    ['a digest that is a path', { ...manifest, config: { ...manifest.config, digest: 'sha256:../../x' } }],
    ['a negative size', { ...manifest, config: { ...manifest.config, size: -1 } }],
    ['a size no integer can hold', text.replace('"size":1', '"size":9007199254740993')],
    ['a size that is a text', { ...manifest, config: { ...manifest.config, size: '1' } }],
    ['layers that are no list', { ...manifest, layers: {} }],
    ['a layer that is null', { ...manifest, layers: [null] }],
    ['no layers', { ...manifest, layers: undefined }],
    ['another schema version', { ...manifest, schemaVersion: 3 }],
    ['a list', '[]'],
    ['no JSON', 'manifest unknown'],
    ['invalid UTF-8', new Uint8Array([0x7b, 0xff, 0x7d])],
    ['more than 4 MiB', `{"a":"${'x'.repeat(4 * 1024 * 1024)}"}`],
  ])('refuses %s', (_, document, expectedType?: string) => {
    const raw = document instanceof Uint8Array ? document : bytes(document)
    expect(() => parseManifestDocument(raw, expectedType)).toThrow(expect.objectContaining({ code: 'OCI_MALFORMED_DOCUMENT' }))
  })

  it('says what schema 1 is', () => {
    expect(() => parseManifestDocument(bytes({ schemaVersion: 1, fsLayers: [] }))).toThrow(expect.objectContaining({ code: 'OCI_UNSUPPORTED_MEDIA_TYPE' }))
  })
})

it('takes only layers it can apply', () => {
  const parsed = parseManifestDocument(bytes({ ...manifest, layers: [blob('application/vnd.cncf.helm.chart.content.v1.tar+gzip')] }))
  if (parsed.kind !== 'manifest') throw new TypeError('want a manifest')
  expect(() => imageLayers(parsed.manifest)).toThrow(expect.objectContaining({ code: 'OCI_UNSUPPORTED_MEDIA_TYPE' }))
})

describe('parseImageConfig', () => {
  const config = { os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [digest] } }

  it('keeps what says how to run the image, and drops every other field', () => {
    const parsed = parseImageConfig(bytes({ ...config, host_config: { Privileged: true }, config: { Cmd: ['sh'], Healthcheck: { Test: ['NONE'], Interval: 5 }, Privileged: true } }))
    expect(parsed).toEqual({ ...config, config: { Cmd: ['sh'], Healthcheck: { Test: ['NONE'], Interval: 5 } } })
  })

  it.each([
    ['history that is no list', { ...config, history: {} }],
    ['a null history entry', { ...config, history: [null] }],
    ['a diffID that is no digest', { ...config, rootfs: { type: 'layers', diff_ids: ['x'] } }],
    ['Env with a number', { ...config, config: { Env: [1] } }],
    ['Labels with a list', { ...config, config: { Labels: { a: [] } } }],
    ['no platform', { rootfs: config.rootfs }],
    ['no rootfs', { os: 'linux', architecture: 'amd64' }],
  ])('refuses %s', (_, document) => {
    expect(() => parseImageConfig(bytes(document))).toThrow(expect.objectContaining({ code: 'OCI_MALFORMED_DOCUMENT', kind: 'image config' }))
  })
})
