import type { Distribution, FoundPackage, PackageList } from './package.ts'
import { distroQualifier, formatPurl } from './package.ts'
import type { Stanza } from './stanzas.ts'
import { parseStanzas } from './stanzas.ts'

export interface DatabaseText {
  readonly path: string
  readonly text: string
  readonly distribution: Distribution
}

/** dpkg's `status`, or a file of `status.d`, which distroless images have instead: there no state is said. */
export function readDpkg({ path, text, distribution }: DatabaseText): PackageList {
  const packages: FoundPackage[] = []
  const problems: string[] = []
  for (const stanza of parseStanzas(text)) {
    if (!isInstalled(stanza)) continue
    const found = describe(stanza, { path, distribution })
    if (found === undefined) problems.push(`${path}: an entry has no package or version`)
    else packages.push(found)
  }
  return { packages, problems }
}

/** Packages that were removed but for their configuration stay in the database. */
function isInstalled(stanza: Stanza): boolean {
  const status = stanza.get('status')
  return status === undefined || status.split(/\s+/u).at(-1) === 'installed'
}

function describe(stanza: Stanza, { path, distribution }: Omit<DatabaseText, 'text'>): FoundPackage | undefined {
  const [name, version] = [stanza.get('package'), stanza.get('version')]
  if (name === undefined || version === undefined || name === '' || version === '') return undefined
  const qualifiers = { arch: stanza.get('architecture'), distro: distroQualifier(distribution), upstream: stanza.get('source')?.replace(/^(\S+) \((.*)\)$/u, '$1@$2') }
  return {
    name,
    version,
    purl: formatPurl({ type: 'deb', namespace: distribution.id ?? 'debian', name, version, qualifiers }),
    license: undefined,
    homepage: stanza.get('homepage'),
    foundAt: path,
  }
}
