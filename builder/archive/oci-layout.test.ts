import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import { digestHex, sha256 } from '../../oci/digest.ts'
import { encodeImageConfig } from '../../oci/image-config.ts'
import { encodeDocument } from '../../oci/manifest.ts'
import { findLayoutImage } from './oci-layout.ts'

const root = mkdtempSync(join(tmpdir(), 'tsbuild-layout-'))
afterAll(() => { rmSync(root, { recursive: true }) })
const platform = { os: 'linux', architecture: 'amd64' }

/** A layout of images without layers, one for each tag. */
function makeLayout(...tags: readonly string[]): { readonly folder: string; readonly digests: readonly string[] } {
  const folder = mkdtempSync(join(root, 'layout-'))
  mkdirSync(join(folder, 'blobs/sha256'), { recursive: true })
  const put = (bytes: Uint8Array, mediaType: Descriptor['mediaType']): Descriptor => {
    const digest = sha256(bytes)
    writeFileSync(join(folder, 'blobs/sha256', digestHex(digest)), bytes)
    return { mediaType, digest, size: bytes.byteLength }
  }
  const manifests = tags.map((tag) => {
    const config = put(encodeImageConfig({ ...platform, config: { Labels: { tag } }, rootfs: { type: 'layers', diff_ids: [] }, history: [] }), mediaTypes.ociConfig)
    return { ...put(encodeDocument({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [] }), mediaTypes.ociManifest), annotations: { 'org.opencontainers.image.ref.name': tag } }
  })
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  writeFileSync(join(folder, 'index.json'), encodeDocument({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }))
  return { folder, digests: manifests.map(({ digest }) => digest) }
}

const find = async (name: string): Promise<string> => (await findLayoutImage(`oci-layout://${name}`, platform)).descriptor.digest

describe('an image of an OCI layout', () => {
  it('is found by tag or digest, and without either when it is the only one or the latest', async () => {
    const [one, two] = [makeLayout('v1'), makeLayout('v1', 'latest')]
    expect(await find(one.folder)).toBe(one.digests[0])
    expect(await find(two.folder)).toBe(two.digests[1])
    expect(await find(`${two.folder}:v1`)).toBe(two.digests[0])
    expect(await find(`${two.folder}@${two.digests[0] ?? ''}`)).toBe(two.digests[0])
  })

  it('is not another than the one named', async () => {
    const { folder } = makeLayout('v1')
    await expect(find(`${folder}:v2`)).rejects.toMatchObject({ code: 'BUILDER_IMAGE_UNAVAILABLE' })
    await expect(find(makeLayout('v1', 'v2').folder)).rejects.toMatchObject({ code: 'BUILDER_IMAGE_UNAVAILABLE' })
  })

  it('is refused when a document is not what its digest says', async () => {
    const { folder, digests: [digest = ''] } = makeLayout('v1')
    writeFileSync(join(folder, 'blobs/sha256', digest.slice('sha256:'.length)), '{}')
    await expect(find(folder)).rejects.toMatchObject({ code: 'OCI_DIGEST_MISMATCH' })
  })
})
