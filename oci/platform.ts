import { MalformedDocument } from './errors.ts'

/** @see image-spec image-index.md "platform" */
export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
  readonly 'os.version'?: string
  readonly 'os.features'?: readonly string[]
}

const architectureAliases: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
  x86_64: ['amd64'], 'x86-64': ['amd64'], x64: ['amd64'], i386: ['386'], i686: ['386'], ia32: ['386'],
  aarch64: ['arm64'], armhf: ['arm', 'v7'], armel: ['arm', 'v6'], loong64: ['loong64'],
}
const defaultVariants: ReadonlyMap<string, string> = new Map([['arm', 'v7']])
/** Variants that mean the same as none. */
const impliedVariants: ReadonlyMap<string, readonly string[]> = new Map([['arm64', ['8', 'v8']], ['amd64', ['v1']]])
/** Go's names of what Node reports for this process. */
const nodeArchitectures: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' }

/** Node's `process.arch` as the registry world spells it. */
export function hostPlatform(arch: string): Platform {
  return normalizePlatform({ os: 'linux', architecture: nodeArchitectures[arch] ?? arch })
}

/**
 * Reads `os/arch[/variant]`, also the short forms `os` and `arch` that Docker accepts, the missing part taken from `base`.
 * @throws {MalformedDocument}
 */
export function parsePlatform(text: string, base: Platform): Platform {
  const parts = text.toLowerCase().split('/')
  if (parts.length > 3 || parts.some((part) => !/^[a-z0-9_.-]+$/u.test(part))) {
    throw new MalformedDocument('platform', `${JSON.stringify(text)} is not of the form os/arch[/variant]`)
  }
  const [first = '', second, third] = parts
  if (second === undefined) {
    return knownSystems.has(first)
      ? { ...base, os: first }
      : normalizePlatform({ os: base.os, architecture: first })
  }
  return normalizePlatform({ os: first === 'macos' ? 'darwin' : first, architecture: second, ...(third === undefined ? {} : { variant: third }) })
}

const knownSystems: ReadonlySet<string> = new Set(['linux', 'windows', 'darwin', 'freebsd', 'netbsd', 'openbsd', 'solaris', 'aix', 'plan9', 'wasi', 'android'])

/** One spelling for each platform, so that equal platforms compare equal. */
export function normalizePlatform(platform: Platform): Platform {
  const { architecture: givenArchitecture, variant: givenVariant } = platform
  const spelled = givenArchitecture.toLowerCase()
  const [architecture, aliasVariant] = Object.hasOwn(architectureAliases, spelled) ? architectureAliases[spelled] ?? [spelled] : [spelled]
  let variant = givenVariant?.toLowerCase() ?? aliasVariant ?? defaultVariants.get(architecture)
  if (variant !== undefined && impliedVariants.get(architecture)?.includes(variant) === true) variant = undefined
  if (architecture === 'arm' && variant !== undefined && /^\d$/u.test(variant)) variant = `v${variant}`
  return {
    ...systemFields(platform),
    os: platform.os.toLowerCase(),
    architecture,
    ...(variant === undefined || variant === '' ? {} : { variant }),
  }
}

/** By name: an image config is a platform too, and more than one. */
function systemFields({ 'os.version': version, 'os.features': features }: Platform): Pick<Platform, 'os.version' | 'os.features'> {
  return { ...(version === undefined ? {} : { 'os.version': version }), ...(features === undefined ? {} : { 'os.features': features }) }
}

export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = normalizePlatform(platform)
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`
}

export function isSamePlatform(one: Platform, other: Platform): boolean {
  return formatPlatform(one) === formatPlatform(other)
}

/**
 * How well an image for `offered` runs where `wanted` is asked for: 0 is best, undefined is not at all.
 * A 32-bit arm machine also takes older variants, an amd64 one lower levels.
 */
export function platformDistance(wanted: Platform, offered: Platform): number | undefined {
  const want = normalizePlatform(wanted)
  const offer = normalizePlatform(offered)
  if (want.os !== offer.os || want.architecture !== offer.architecture) return undefined
  if (want.variant === offer.variant) return 0
  const wantLevel = variantLevel(want)
  const offerLevel = variantLevel(offer)
  if (wantLevel === undefined || offerLevel === undefined || offerLevel > wantLevel) return undefined
  return wantLevel - offerLevel
}

function variantLevel({ architecture, variant }: Platform): number | undefined {
  if (variant === undefined) return architecture === 'amd64' ? 1 : architecture === 'arm64' ? 8 : undefined
  const digits = /^v(\d+)$/u.exec(variant)?.[1]
  return digits === undefined ? undefined : Number(digits)
}
