import { findNearest } from '../../core/nearest.ts'
import { ContextUnreadable } from './errors.ts'
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
  throw new ContextUnreadable(value, explain(value))
}

const schemes = ['docker-image://', 'oci-layout://', 'https://', 'http://', 'git://', 'ssh://']

function explain(value: string): string {
  // These two come from bake files and from frontends, where there is something they can name.
  if (/^(?:target|input):(?!\/\/)/u.test(value)) return 'only bake files know targets of other builds; build that stage with -t NAME first and give docker-image://NAME, or use FROM and COPY --from for a stage of this Dockerfile'
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//iu.exec(value)?.[0]
  const nearest = scheme === undefined ? undefined : findNearest(scheme, schemes)
  if (scheme !== undefined) return `"${scheme}" is no kind of context${nearest === undefined ? '' : `, did you mean ${nearest}?`}; there are ${schemes.join(', ')} and folders`
  return 'it is neither a folder nor docker-image://, oci-layout://, a git repository or an address of http'
}
