import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { isObject } from '../../oci/json.ts'
import type { Reference } from '../../registry-client/index.ts'
import { parseReference, repositoryName } from '../../registry-client/index.ts'
import type { Store } from '../../storage/index.ts'

/** Repositories by the digests of blobs that were seen in them. */
type Origins = Readonly<Record<string, readonly string[]>>

/** Enough for what one machine pulls and pushes; the oldest are forgotten. */
const maxBlobs = 4096
const maxOrigins = 4

/** Repositories that had the blob, the latest first. What is noted only spares uploads, so what cannot be read is none. */
export async function readOrigins(store: Store): Promise<(blob: Descriptor) => readonly Reference[]> {
  const origins = await load(pathOf(store))
  return ({ digest }) => (origins[digest] ?? []).map((name) => parseReference(name, { defaultTag: undefined }))
}

/** Notes that the blobs are in the repository. Of two processes that note something at once, one may go unheard. */
export async function noteOrigin(store: Store, repository: Reference, blobs: readonly Descriptor[]): Promise<void> {
  const path = pathOf(store)
  const origins = await load(path)
  const name = repositoryName(repository)
  if (blobs.every(({ digest }) => origins[digest]?.[0] === name)) return
  const noted = new Map(Object.entries(origins))
  for (const { digest } of blobs) {
    const others = (noted.get(digest) ?? []).filter((other) => other !== name)
    noted.delete(digest)
    noted.set(digest, [name, ...others].slice(0, maxOrigins))
  }
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = `${path}.${process.pid}`
  await writeFile(temporary, JSON.stringify(Object.fromEntries([...noted].slice(-maxBlobs))), { mode: 0o600 })
  await rename(temporary, path)
}

function pathOf({ root }: Store): string {
  return join(root, 'transfers', 'origins.json')
}

async function load(path: string): Promise<Origins> {
  try {
    return parseOrigins(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    if (isErrno(error, 'ENOENT') || error instanceof SyntaxError) return {}
    throw error
  }
}

function parseOrigins(value: unknown): Origins {
  if (!isObject(value)) return {}
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, string[]] => Array.isArray(entry[1]) && entry[1].every((name) => typeof name === 'string')))
}
