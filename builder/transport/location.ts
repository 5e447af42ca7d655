import { isDigest } from '../../oci/digest.ts'
import { MalformedLocation } from '../errors.ts'

interface LocatedFile<Transport extends string> {
  readonly transport: Transport
  readonly path: string
  /** The name within the layout or archive. */
  readonly tag: string | undefined
}

/** Where an image lies: skopeo's transports, and the store under `tsbuild:`. */
export type Location =
  | { readonly transport: 'docker'; readonly name: string }
  | { readonly transport: 'tsbuild'; readonly name: string }
  | LocatedFile<'oci'>
  | LocatedFile<'oci-archive'>
  | LocatedFile<'docker-archive'>
  | LocatedFile<'dir'>

const elsewhere: Readonly<Record<string, string>> = {
  'docker-daemon': 'tsbuild has no part in a daemon\'s storage; take `docker save NAME | tsbuild load`, or docker-archive:FILE',
  'containers-storage': 'tsbuild has no part in podman\'s storage; take `podman save --format oci-archive -o FILE NAME` and oci-archive:FILE',
  ostree: 'tsbuild does not know OSTree',
  sif: 'tsbuild does not know SIF',
  tarball: 'to make an image of a root filesystem: tsbuild import',
}

/** @throws {MalformedLocation} */
export function parseLocation(text: string): Location {
  const colon = text.indexOf(':')
  const transport = text.slice(0, Math.max(0, colon))
  const rest = text.slice(colon + 1)
  switch (transport) {
    case 'docker':
      if (!rest.startsWith('//') || rest.length === 2) throw new MalformedLocation(text, 'a registry\'s image is written docker://NAME')
      return { transport, name: rest.slice(2) }
    case 'tsbuild':
      if (rest === '') throw new MalformedLocation(text, 'an image of the store is written tsbuild:NAME')
      return { transport, name: rest }
    case 'oci':
    case 'oci-archive':
    case 'docker-archive': return { transport, ...parsePath(text, rest, transport) }
    case 'dir':
      if (rest === '') throw new MalformedLocation(text, 'it names no path')
      return { transport, path: rest, tag: undefined }
    default:
      throw new MalformedLocation(text, Object.hasOwn(elsewhere, transport)
        ? `transport "${transport}:" is not supported: ${elsewhere[transport] ?? ''}`
        : 'want docker://NAME, tsbuild:NAME, oci:FOLDER[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME] or dir:FOLDER')
  }
}

/** The path ends at the first colon, as skopeo reads it. */
function parsePath(text: string, rest: string, transport: string): { path: string; tag: string | undefined } {
  const colon = rest.indexOf(':')
  const path = colon === -1 ? rest : rest.slice(0, colon)
  const tag = colon === -1 ? undefined : rest.slice(colon + 1)
  if (path === '') throw new MalformedLocation(text, 'it names no path')
  if (tag === '') throw new MalformedLocation(text, 'nothing follows the last colon')
  if (tag !== undefined && transport !== 'docker-archive' && !isDigest(tag) && !/^[\w][\w.:/@+-]*$/u.test(tag)) throw new MalformedLocation(text, `${JSON.stringify(tag.slice(0, 80))} cannot be a name within a layout`)
  return { path, tag }
}

export function formatLocation(location: Location): string {
  if ('name' in location) return `${location.transport}:${location.transport === 'docker' ? '//' : ''}${location.name}`
  return `${location.transport}:${location.path}${location.tag === undefined ? '' : `:${location.tag}`}`
}
