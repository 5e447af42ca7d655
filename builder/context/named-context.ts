import { ContextUnreadable } from '../errors.ts'
import type { GitReference } from './git-reference.ts'
import { isGitReference, parseGitReference } from './git-reference.ts'
import { isDirectory } from './local-files.ts'

/** What `--build-context NAME=VALUE` names. */
export type NamedContext =
  | { readonly kind: 'folder'; readonly path: string }
  /** The image's name, or `oci-layout://` and what follows. */
  | { readonly kind: 'image'; readonly name: string }
  | { readonly kind: 'git'; readonly reference: GitReference }
  | { readonly kind: 'http'; readonly url: string }

/** @throws {ContextUnreadable} */
export function parseNamedContext(value: string): NamedContext {
  const image = /^docker-image:\/\/(.+)$/u.exec(value)?.[1]
  if (image !== undefined) return { kind: 'image', name: image }
  if (value.startsWith('oci-layout://')) return { kind: 'image', name: value }
  if (isDirectory(value)) return { kind: 'folder', path: value }
  if (isGitReference(value)) {
    const reference = parseGitReference(value)
    if ('problem' in reference) throw new ContextUnreadable(value, reference.problem)
    return { kind: 'git', reference }
  }
  if (/^https?:\/\//u.test(value)) return { kind: 'http', url: value }
  throw new ContextUnreadable(value, 'it is neither a folder nor docker-image://, oci-layout://, a git repository or an address of http')
}
