import { describe, expect, it } from 'vitest'
import { sha256 } from '../../oci/digest.ts'
import type { FoundPackage } from './packages/package.ts'
import { spdxDocument } from './spdx.ts'

const image = { name: 'app:1', id: sha256('image'), created: '2026-01-01T00:00:00Z' }

function found(name: string, rest: Partial<FoundPackage> = {}): FoundPackage {
  return { name, version: '1', purl: `pkg:npm/${name}@1`, license: undefined, homepage: undefined, foundAt: `/${name}`, ...rest }
}

describe('an SPDX document', () => {
  it('has each package once with all its places, contained in the image', () => {
    const document = spdxDocument({ packages: [found('a', { license: 'MIT' }), found('a', { foundAt: '/b/a', license: 'MIT' }), found('b')], problems: [] }, image)
    expect(document).toMatchObject({
      spdxVersion: 'SPDX-2.3',
      packages: [{ name: 'app:1', primaryPackagePurpose: 'CONTAINER' }, { name: 'a', sourceInfo: 'listed in /a, /b/a', licenseDeclared: 'MIT' }, { name: 'b', licenseDeclared: 'NOASSERTION' }],
      relationships: [{ relationshipType: 'DESCRIBES' }, { relationshipType: 'CONTAINS', relatedSpdxElement: 'SPDXRef-Package-1' }, { relatedSpdxElement: 'SPDXRef-Package-2' }],
    })
    expect(document).not.toHaveProperty('comment')
  })

  it('declares only licenses that SPDX knows, and quotes the others', () => {
    const packages = [found('a', { license: 'MIT OR Apache-2.0' }), found('b', { license: 'see "LICENSE"' }), found('c', { license: 'MIT AND', homepage: 'no address' })]
    expect(spdxDocument({ packages, problems: [] }, image)['packages']).toMatchObject([
      {}, { licenseDeclared: 'MIT OR Apache-2.0' }, { licenseDeclared: 'NOASSERTION', licenseComments: 'the package states "see \\"LICENSE\\""' }, { licenseDeclared: 'NOASSERTION' },
    ])
    expect(JSON.stringify(spdxDocument({ packages, problems: [] }, image))).not.toContain('no address')
  })

  it('says what is missing', () => {
    expect(spdxDocument({ packages: [], problems: ['/var/lib/rpm/rpmdb.sqlite: a database of rpm is not read'] }, image)['comment']).toContain('rpmdb.sqlite')
  })
})
