/** A package that a rootfs says it holds. */
export interface FoundPackage {
  readonly name: string
  readonly version: string
  /** @see package-url/purl-spec */
  readonly purl: string
  /** As the package states it, whatever words it uses. */
  readonly license: string | undefined
  readonly homepage: string | undefined
  /** Where it was read, absolute. */
  readonly foundAt: string
}

/** What a database says, and what of it could not be understood. */
export interface PackageList {
  readonly packages: readonly FoundPackage[]
  /** Each names the path. */
  readonly problems: readonly string[]
}

export interface PurlParts {
  readonly type: 'deb' | 'apk' | 'rpm' | 'npm' | 'pypi'
  readonly namespace: string | undefined
  readonly name: string
  readonly version: string
  /** Those without value are left out. */
  readonly qualifiers?: Readonly<Record<string, string | undefined>>
}

export function formatPurl({ type, namespace, name, version, qualifiers = {} }: PurlParts): string {
  const path = [...namespace === undefined ? [] : [namespace], name].map(encode).join('/')
  const query = Object.entries(qualifiers).flatMap(([key, value]) => value === undefined || value === '' ? [] : [`${key}=${encode(value)}`]).sort().join('&')
  return `pkg:${type}/${path}@${encode(version)}${query === '' ? '' : `?${query}`}`
}

/** The specification lets a colon stand for itself. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll('%3A', ':')
}

/** The distribution a rootfs is of; empty where it does not say. @see os-release(5) */
export interface Distribution {
  readonly id: string | undefined
  readonly version: string | undefined
}

export function parseOsRelease(text: string): Distribution {
  const values = new Map([...text.matchAll(/^([A-Z_]+)=(?:"([^"\n]*)"|'([^'\n]*)'|([^\n]*))$/gmu)].map(([, key = '', double, single, bare]) => [key, double ?? single ?? bare ?? '']))
  return { id: values.get('ID'), version: values.get('VERSION_ID') }
}

/** As scanners write it: `debian-12`. */
export function distroQualifier({ id, version }: Distribution): string | undefined {
  return id === undefined ? undefined : [id, version].filter((part) => part !== undefined && part !== '').join('-')
}
