import type { Place } from '../errors.ts'
import { DockerfileError, quote } from '../errors.ts'

/** What `ADD --checksum` compares with: the digest of a download, or the commit of a git source. */
export type Checksum =
  | { readonly kind: 'digest'; readonly algorithm: 'sha256' | 'sha384' | 'sha512'; readonly hex: string }
  | { readonly kind: 'commit'; readonly hex: string }

const hexLength = { sha256: 64, sha384: 96, sha512: 128 } as const

/**
 * @throws {DockerfileError} for what is neither a whole digest nor a whole commit id: a short one would pin nothing
 */
export function parseChecksum(text: string, place: Place): Checksum {
  const match = /^(sha256|sha384|sha512):([0-9a-f]+)$/u.exec(text)
  const algorithm = match?.[1]
  const hex = match?.[2] ?? ''
  if ((algorithm === 'sha256' || algorithm === 'sha384' || algorithm === 'sha512') && hex.length === hexLength[algorithm]) return { kind: 'digest', algorithm, hex }
  if (/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/u.test(text)) return { kind: 'commit', hex: text }
  throw new DockerfileError(place, {
    rule: 'checksum',
    problem: `--checksum is ${quote(text)}, which is neither a whole digest nor a whole commit`,
    remedy: 'write sha256: and 64 lower-case hexadecimal digits, or for git the 40 of the commit',
  })
}
