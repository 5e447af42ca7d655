import type { Digest } from '../../oci/digest.ts'
import { digestHex } from '../../oci/digest.ts'
import type { JsonObject } from '../../oci/json.ts'
import type { FoundPackage, PackageList } from './packages/package.ts'
import { present } from './statement.ts'

export interface DescribedImage {
  readonly name: string
  readonly id: Digest
  /** RFC 3339, to the second. */
  readonly created: string
}

const imageRef = 'SPDXRef-Image'
/** Licenses most packages have; others are quoted in words, since a document with an identifier that SPDX does not know is not valid. */
const knownLicenses = new Set([
  '0BSD', 'AFL-2.1', 'AGPL-3.0-only', 'AGPL-3.0-or-later', 'Apache-2.0', 'Artistic-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0', 'BSL-1.0', 'CC-BY-3.0', 'CC-BY-4.0', 'CC0-1.0',
  'GPL-1.0-or-later', 'GPL-2.0-only', 'GPL-2.0-or-later', 'GPL-3.0-only', 'GPL-3.0-or-later', 'ISC', 'LGPL-2.0-or-later', 'LGPL-2.1-only', 'LGPL-2.1-or-later', 'LGPL-3.0-only',
  'LGPL-3.0-or-later', 'MIT', 'MIT-0', 'MPL-2.0', 'OFL-1.1', 'OpenSSL', 'PSF-2.0', 'Python-2.0', 'Unicode-3.0', 'Unlicense', 'WTFPL', 'Zlib', 'curl', 'bzip2-1.0.6',
])

/**
 * The packages of an image as an SPDX document. Equal images have equal documents but for the time.
 * @see SPDX 2.3
 */
export function spdxDocument({ packages, problems }: PackageList, image: DescribedImage): JsonObject {
  const merged = [...mergePlaces(packages)]
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: image.name,
    documentNamespace: `urn:tsbuild:sbom:${image.id}`,
    creationInfo: { created: image.created, creators: ['Tool: tsbuild'] },
    ...problems.length === 0 ? {} : { comment: `Not everything was read. ${problems.join('; ')}` },
    documentDescribes: [imageRef],
    packages: [describeImage(image), ...merged.map(describePackage)],
    relationships: [
      { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: imageRef },
      ...merged.map((_, index) => ({ spdxElementId: imageRef, relationshipType: 'CONTAINS', relatedSpdxElement: packageRef(index) })),
    ],
  }
}

interface MergedPackage { readonly found: FoundPackage; readonly places: readonly string[] }

function mergePlaces(packages: readonly FoundPackage[]): Iterable<MergedPackage> {
  const merged = new Map<string, MergedPackage>()
  for (const found of packages) {
    const known = merged.get(found.purl)
    merged.set(found.purl, known === undefined ? { found, places: [found.foundAt] } : { ...known, places: [...known.places, found.foundAt] })
  }
  return merged.values()
}

function describeImage({ name, id }: DescribedImage): JsonObject {
  return {
    SPDXID: imageRef, name, versionInfo: id, downloadLocation: 'NOASSERTION', filesAnalyzed: false, primaryPackagePurpose: 'CONTAINER',
    licenseConcluded: 'NOASSERTION', licenseDeclared: 'NOASSERTION', copyrightText: 'NOASSERTION',
    checksums: [{ algorithm: 'SHA256', checksumValue: digestHex(id) }],
  }
}

function describePackage({ found, places }: MergedPackage, index: number): JsonObject {
  const { name, version, purl, license, homepage } = found
  const isKnown = license !== undefined && isExpression(license)
  return present({
    SPDXID: packageRef(index), name, versionInfo: version, downloadLocation: 'NOASSERTION', filesAnalyzed: false,
    homepage: homepage !== undefined && URL.canParse(homepage) ? homepage : undefined,
    sourceInfo: `listed in ${places.join(', ')}`,
    licenseConcluded: 'NOASSERTION',
    licenseDeclared: isKnown ? license : 'NOASSERTION',
    licenseComments: license === undefined || isKnown ? undefined : `the package states ${JSON.stringify(license)}`,
    copyrightText: 'NOASSERTION',
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }],
  })
}

/** Identifiers joined by AND or OR; anything more is quoted. */
function isExpression(text: string): boolean {
  return text.split(/ (?:AND|OR) /u).every((license) => knownLicenses.has(license))
}

function packageRef(index: number): string {
  return `SPDXRef-Package-${index + 1}`
}
