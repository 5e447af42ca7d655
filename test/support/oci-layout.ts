/** OCI image layouts on disk, which skopeo reads and writes. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { digestHex, sha256 } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { TestImage } from './images.ts'

/** Writes an image under a name. @see image-spec image-layout.md */
export async function writeLayout(directory: string, image: TestImage, name: string): Promise<void> {
  const blobs = join(directory, 'blobs', 'sha256')
  await mkdir(blobs, { recursive: true })
  for (const bytes of [...image.blobs.values(), image.manifest.bytes]) await writeFile(join(blobs, digestHex(sha256(bytes))), bytes)
  await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  const entry = { ...image.manifest.descriptor, annotations: { 'org.opencontainers.image.ref.name': name } }
  await writeFile(join(directory, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }))
}

export function readLayoutBlob(directory: string, { digest }: Pick<Descriptor, 'digest'>): Promise<Buffer> {
  return readFile(join(directory, 'blobs', 'sha256', digestHex(digest)))
}

export async function readLayoutIndex(directory: string): Promise<{ manifests: { digest: string }[] }> {
  return JSON.parse(await readFile(join(directory, 'index.json'), 'utf8')) as { manifests: { digest: string }[] }
}
