import { createHash } from 'node:crypto'
import { createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { Store } from '../../storage/index.ts'
import { packChangeset } from '../../storage/index.ts'
import { cacheKey } from '../cache/cache-key.ts'
import type { CacheKey } from '../cache/cache-key.ts'
import type { Validators } from '../context/download.ts'
import { download } from '../context/download.ts'
import { WrongDownload } from '../context/errors.ts'
import type { BuildEvent } from '../events.ts'
import type { HttpNode } from '../plan/plan.ts'
import type { CachedLayers } from './cached-layers.ts'
import type { Executed, Executor, Lookup, NodeResult } from './executor.ts'
import { emptyResult } from './executor.ts'

/** What steps that fetch something need. */
export interface FetchParts {
  readonly store: Store
  readonly layers: CachedLayers
}

/** Docker's: nobody else is to read what somebody may have needed a password for. */
const fileMode = 0o600

/**
 * ADD of an address: a tree of the one file. With a digest it is looked up by that and nobody is asked. Without one the
 * server is asked each time whether what was downloaded before is still what it has.
 */
export function createHttpExecutor(parts: FetchParts): Executor<HttpNode> {
  const { layers } = parts
  return {
    find: async ({ node }, task): Promise<Lookup> => {
      const known = await layers.find(fileKey(node), emptyResult)
      if (known.kind === 'miss' || node.digest !== undefined) return known
      return await isUnchanged(node, layers, task) ? known : { kind: 'miss', key: fileKey(node) }
    },
    run: async ({ node }, key, task): Promise<Executed> => ({ result: await fetchFile(node, { ...parts, key }, task), usage: undefined }),
  }
}

function fileKey({ url, fileName, digest }: HttpNode): CacheKey {
  return cacheKey('http', [{ name: 'address', value: url }, { name: 'file', value: fileName }, { name: 'digest', value: digest === undefined ? '' : `${digest.algorithm}:${digest.hex}` }])
}

/** A server that names neither a tag nor a time is asked for all of it again. */
async function isUnchanged(node: HttpNode, layers: CachedLayers, task: Task<BuildEvent>): Promise<boolean> {
  const kept = layers.partsOf(fileKey(node)) ?? []
  const part = (name: string): string | undefined => kept.find((each) => each.name === name)?.value
  const validators: Validators = { etag: part('etag'), lastModified: part('last-modified') }
  if (validators.etag === undefined && validators.lastModified === undefined) return false
  const answer = await download({ url: node.url, known: validators }, silent(task))
  if (answer.kind === 'unchanged') return true
  await answer.bytes[Symbol.asyncIterator]().return?.()
  return false
}

async function fetchFile(node: HttpNode, { store, layers, key }: { store: Store; layers: CachedLayers; key: CacheKey }, task: Task<BuildEvent>): Promise<NodeResult> {
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-download-'))
  try {
    const answer = await download({ url: node.url }, silent(task))
    if (answer.kind === 'unchanged') throw new TypeError('an answer to a question that was not asked')
    const path = join(folder, 'content')
    await pipeline(checking(answer.bytes, node), createWriteStream(path, { mode: 0o600 }))
    const { etag, lastModified } = answer.validators
    const modifiedMs = lastModified === undefined ? Number.NaN : Date.parse(lastModified)
    const entry = {
      path: Buffer.from(node.fileName), type: 'file', mode: fileMode, uid: 0, gid: 0, mtimeNs: Number.isFinite(modifiedMs) ? BigInt(modifiedMs) * 1_000_000n : 0n,
      content: { kind: 'host', root: folder, path: Buffer.from('content'), sizeBytes: statSync(path).size },
    } as const
    const layer = await store.layers.apply(undefined, packChangeset([entry], silent(task)), undefined, silent(task))
    const validators = [...etag === undefined ? [] : [{ name: 'etag', value: etag }], ...lastModified === undefined ? [] : [{ name: 'last-modified', value: lastModified }]]
    return layers.record({ digest: key.digest, parts: [...key.parts, ...validators] }, layer, emptyResult)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** @throws {WrongDownload} at the end, before anything is made of it */
async function* checking(bytes: AsyncIterable<Uint8Array>, { url, digest }: HttpNode): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = digest === undefined ? undefined : createHash(digest.algorithm)
  for await (const chunk of bytes) {
    hash?.update(chunk)
    yield chunk
  }
  const actual = hash?.digest('hex')
  if (digest !== undefined && actual !== digest.hex) throw new WrongDownload(url, `${digest.algorithm}:${digest.hex}`, `${digest.algorithm}:${actual ?? ''}`)
}
