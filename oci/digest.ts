import { createHash } from 'node:crypto'
import { MalformedDigest } from './errors.ts'

declare const brand: unique symbol
type Brand<Name extends string> = string & { readonly [brand]: Name }

/** Identity of stored bytes, `sha256:<64 lower-case hex>` or `sha512:<128>`. @see image-spec descriptor.md "Digests" */
export type Digest = Brand<'digest'>

/** Identity of a layer's uncompressed tar. @see image-spec config.md "Layer DiffID" */
export type DiffId = Brand<'diffID'>

/** Identity of a stack of layers. @see image-spec config.md "Layer ChainID" */
export type ChainId = Brand<'chainID'>

const wellFormed = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/u

/** @throws {MalformedDigest} for any other text, so that a digest can be put into a path or URL as it is */
export function parseDigest(text: string): Digest {
  if (!wellFormed.test(text)) throw new MalformedDigest(text)
  return text as Digest
}

export function isDigest(text: string): text is Digest {
  return wellFormed.test(text)
}

/** @throws {MalformedDigest} */
export function parseDiffId(text: string): DiffId {
  return parseDigest(text) as string as DiffId
}

/** @throws {MalformedDigest} */
export function parseChainId(text: string): ChainId {
  return parseDigest(text) as string as ChainId
}

/** The same hash read as the identity of bytes: an uncompressed layer blob's digest is its diffID. */
export function diffIdAsDigest(diffId: DiffId): Digest {
  return diffId as string as Digest
}

/** An uncompressed tar's digest read as its diffID. */
export function digestAsDiffId(digest: Digest): DiffId {
  return digest as string as DiffId
}

export type DigestAlgorithm = 'sha256' | 'sha512'

export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256'
}

/** The hexadecimal part. */
export function digestHex(digest: Digest | DiffId | ChainId): string {
  return digest.slice(digest.indexOf(':') + 1)
}

/** The 64 digits of a SHA-256. */
type Hash = (bytes: Uint8Array | string) => string

let hash: Hash = (bytes) => createHash('sha256').update(bytes).digest('hex')

/** Has `sha256` computed by something that is there sooner than node:crypto, which takes longer to load than most commands hash. */
export function hashBy(other: Hash): void {
  hash = other
}

export function sha256(bytes: Uint8Array | string): Digest {
  return `sha256:${hash(bytes)}` as Digest
}

/** A running digest of a byte stream. */
export interface Digester {
  update(bytes: Uint8Array): void
  /** Ends the stream; may be called once. */
  finish(): Digest
}

export function createDigester(algorithm: DigestAlgorithm = 'sha256'): Digester {
  const running = createHash(algorithm)
  return {
    update: (bytes) => { running.update(bytes) },
    finish: () => `${algorithm}:${running.digest('hex')}` as Digest,
  }
}

/** The chainID of `diffId` on top of `parent`; a first layer's chainID is its diffID. */
export function chainId(parent: ChainId | undefined, diffId: DiffId): ChainId {
  return (parent === undefined ? diffId : sha256(`${parent} ${diffId}`)) as string as ChainId
}

/** The chainIDs of a stack, bottom first, one for each diffID. */
export function chainIds(diffIds: readonly DiffId[]): ChainId[] {
  const chain: ChainId[] = []
  for (const diffId of diffIds) chain.push(chainId(chain.at(-1), diffId))
  return chain
}
