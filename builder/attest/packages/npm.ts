import { MalformedDocument } from '../../../oci/errors.ts'
import type { Json, JsonObject } from '../../../oci/json.ts'
import { isObject, parseDocument } from '../../../oci/json.ts'
import type { PackageList } from './package.ts'
import { formatPurl } from './package.ts'

/** The package.json of a package that lies in a node_modules folder. */
export function readNpm(path: string, bytes: Uint8Array): PackageList {
  let document: JsonObject
  try {
    document = parseDocument(bytes, 'package.json')
  } catch (error) {
    if (error instanceof MalformedDocument) return problem(path, error.message)
    throw error
  }
  const { name, version, license, homepage } = document
  if (typeof name !== 'string' || typeof version !== 'string' || name === '' || version === '') return problem(path, 'it has no name or version')
  const [scope, rest] = name.startsWith('@') && name.includes('/') ? [name.slice(0, name.indexOf('/')), name.slice(name.indexOf('/') + 1)] : [undefined, name]
  const found = {
    name, version,
    purl: formatPurl({ type: 'npm', namespace: scope, name: rest, version }),
    license: licenseText(license), homepage: typeof homepage === 'string' ? homepage : undefined, foundAt: path,
  }
  return { packages: [found], problems: [] }
}

/** Old packages have an object there. */
function licenseText(license: Json | undefined): string | undefined {
  if (typeof license === 'string') return license
  return isObject(license) && typeof license['type'] === 'string' ? license['type'] : undefined
}

function problem(path: string, what: string): PackageList {
  return { packages: [], problems: [`${path}: ${what}`] }
}
