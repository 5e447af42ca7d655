import type { DatabaseText } from './dpkg.ts'
import type { FoundPackage, PackageList } from './package.ts'
import { distroQualifier, formatPurl } from './package.ts'

/** apk's `installed`: paragraphs of lines that begin with a letter, which is not in other cases the same. */
export function readApk({ path, text, distribution }: DatabaseText): PackageList {
  const packages: FoundPackage[] = []
  const problems: string[] = []
  for (const paragraph of text.split('\n\n').filter((part) => part.trim() !== '')) {
    const fields = readFields(paragraph)
    const [name, version] = [fields.get('P'), fields.get('V')]
    if (name === undefined || version === undefined) {
      problems.push(`${path}: an entry has no package or version`)
      continue
    }
    const qualifiers = { arch: fields.get('A'), distro: distroQualifier(distribution), upstream: fields.get('o') }
    packages.push({
      name, version,
      purl: formatPurl({ type: 'apk', namespace: distribution.id ?? 'alpine', name, version, qualifiers }),
      license: fields.get('L'), homepage: fields.get('U'), foundAt: path,
    })
  }
  return { packages, problems }
}

/** The first of each; those of the files come later and repeat. */
function readFields(paragraph: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const line of paragraph.split('\n')) {
    const [, letter, value] = /^([A-Za-z]):(.+)$/u.exec(line) ?? []
    if (letter !== undefined && value !== undefined && !fields.has(letter)) fields.set(letter, value)
  }
  return fields
}
