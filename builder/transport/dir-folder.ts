import { randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { isErrno } from '../../core/errors.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { digestHex, sha256 } from '../../oci/digest.ts'
import { maxDocumentBytes } from '../../oci/json.ts'
import { parseManifestDocument } from '../../oci/manifest.ts'
import { verifyBytes } from '../../oci/verify.ts'
import { MalformedArchive } from '../archive/errors.ts'
import { OutputConflict } from '../errors.ts'
import { makeOutputFolder } from '../output/output-file.ts'
import type { ImageSource } from './image-source.ts'
import type { ImageTarget } from './image-target.ts'

/**
 * Skopeo's `dir:`: one image, or an index with its images, in a folder without subfolders. `version` marks it, the document
 * copied is `manifest.json`, others are `<hex>.manifest.json` and blobs `<hex>`.
 */
const marker = 'Directory Transport Version: 1.1\n'
const anyMarker = /^Directory Transport Version: 1\.\d+\s*$/u

/** The top document has no digest to be compared with: what it says is what the image is. @throws {MalformedArchive} */
export async function openDirSource(path: string): Promise<ImageSource> {
  if (!anyMarker.test(await readMarker(path) ?? '')) throw new MalformedArchive(`"${path}" is no folder of skopeo's dir:, whose file "version" begins "Directory Transport Version: 1."`)
  const bytes = await readLimited(join(path, 'manifest.json'))
  const parsed = parseManifestDocument(bytes)
  const { mediaType } = parsed.kind === 'index' ? parsed.index : parsed.manifest
  const verified = async (each: Descriptor, name: string): Promise<Uint8Array> => {
    const chunks: Uint8Array[] = []
    for await (const chunk of verifyBytes(once(await readLimited(join(path, name))), each)) chunks.push(chunk)
    return Buffer.concat(chunks)
  }
  return {
    top: { descriptor: { mediaType, digest: sha256(bytes), size: bytes.byteLength }, bytes },
    document: (each) => verified(each, documentName(each)),
    blob: ({ blob, fromByte }, task) => {
      const content = createReadStream(join(path, digestHex(blob.digest)), { start: fromByte, highWaterMark: 256 * 1024, signal: task.signal }) as AsyncIterable<Uint8Array>
      return fromByte === 0 ? verifyBytes(content, blob) : content
    },
    origins: () => [],
  }
}

/** Complete or not there. A folder of this kind that was there is replaced, another one is left alone. @throws {OutputConflict} */
export async function openDirTarget(path: string): Promise<ImageTarget> {
  await refuseOther(path)
  const staging = `${resolve(path)}.${randomUUID()}`
  makeOutputFolder(staging)
  return {
    takesSeveralAtOnce: true,
    putBlob: (blob, source, task) => pipeline(Readable.from(source.blob({ blob, fromByte: 0 }, task)), createWriteStream(join(staging, digestHex(blob.digest)), { flush: true })),
    putDocument: ({ descriptor, bytes }, isTop) => writeFile(join(staging, isTop ? 'manifest.json' : documentName(descriptor)), bytes, { flush: true }),
    finish: async () => {
      await writeFile(join(staging, 'version'), marker)
      await refuseOther(path)
      await rm(path, { recursive: true, force: true })
      await rename(staging, path)
    },
    discard: () => rm(staging, { recursive: true, force: true }),
  }
}

async function refuseOther(path: string): Promise<void> {
  if (anyMarker.test(await readMarker(path) ?? '') || (await list(path)).length === 0) return
  throw new OutputConflict(path, 'the folder holds something else than an image of skopeo\'s dir:; name another folder or empty it')
}

async function list(path: string): Promise<string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}

async function readMarker(path: string): Promise<string | undefined> {
  try {
    return await readFile(join(path, 'version'), 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

async function readLimited(path: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let total = 0
  for await (const chunk of createReadStream(path) as AsyncIterable<Uint8Array>) {
    total += chunk.byteLength
    if (total > maxDocumentBytes) throw new MalformedArchive(`"${path}" has more than ${maxDocumentBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function documentName({ digest }: Descriptor): string {
  return `${digestHex(digest)}.manifest.json`
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve()
  yield bytes
}
