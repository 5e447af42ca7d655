import type { PackageList } from './package.ts'
import { formatPurl } from './package.ts'
import { parseHeaders } from './stanzas.ts'

/** The METADATA of a dist-info folder, or PKG-INFO of an egg-info. @see packaging.python.org "Core metadata" */
export function readPip(path: string, text: string): PackageList {
  const headers = parseHeaders(text)
  const [name, version] = [headers.get('name'), headers.get('version')]
  if (name === undefined || version === undefined || name === '' || version === '') return { packages: [], problems: [`${path}: it has no name or version`] }
  const license = headers.get('license-expression') ?? firstLine(headers.get('license'))
  const found = { name, version, purl: formatPurl({ type: 'pypi', namespace: undefined, name: normalName(name), version }), license, homepage: headers.get('home-page'), foundAt: path }
  return { packages: [found], problems: [] }
}

/** Indexes know a package under one spelling. */
function normalName(name: string): string {
  return name.toLowerCase().replaceAll(/[-_.]+/gu, '-')
}

/** Some put the whole text of their license there. */
function firstLine(text: string | undefined): string | undefined {
  const line = text?.split('\n')[0]
  return line === undefined || line === '' || line === 'UNKNOWN' ? undefined : line
}
