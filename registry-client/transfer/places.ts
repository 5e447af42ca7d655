import type { RegistriesConfig } from '../config/registries.ts'
import { findRule, relocate, toTrust } from '../config/registries.ts'
import type { Mirror } from '../config/registries-file.ts'
import type { FailedPlace } from '../errors.ts'
import { AllPlacesFailed, RegistryBlocked, RegistryUnreachable } from '../errors.ts'
import type { Trust } from '../http/message.ts'
import type { Reference } from '../reference.ts'
import { formatReference } from '../reference.ts'

/** A registry and repository that hold what a reference names: itself, or a mirror of it. */
export interface Place {
  readonly host: string
  readonly repository: string
  readonly trust: Trust
}

/**
 * Where to read from, in order: the mirrors that the configuration has for the image, then its own location. Blobs are
 * asked for by digest, whatever the image was asked for by.
 * @throws {RegistryBlocked}
 */
export function pullPlaces(reference: Reference, config: RegistriesConfig, wanted: 'manifest' | 'blob'): Place[] {
  const found = findRule(reference, config)
  if (found === undefined) return [toPlace(reference, undefined)]
  const { rule, rest } = found
  if (rule.isBlocked) throw new RegistryBlocked(formatReference(reference), rule)
  const mirrors = rule.mirrors
    .filter((mirror) => serves(mirror, reference, wanted))
    .map((mirror) => toPlace(relocate(mirror.location, rest), mirror.isInsecure))
  return [...mirrors, toPlace(rule.location === undefined ? reference : relocate(rule.location, rest), rule.isInsecure)]
}

/** The place itself, without its mirrors, which may know less. @throws {RegistryBlocked} */
export function ownPlace(reference: Reference, config: RegistriesConfig): Place {
  return pullPlaces(reference, config, 'manifest').at(-1) ?? toPlace(reference, undefined)
}

/** Where to write to: always the place the reference itself names, as mirrors and locations are for reading. @throws {RegistryBlocked} */
export function pushPlace(reference: Reference, config: RegistriesConfig): Place {
  const rule = findRule(reference, config)?.rule
  if (rule?.isBlocked === true) throw new RegistryBlocked(formatReference(reference), rule)
  return toPlace(reference, rule?.isInsecure)
}

function serves({ pullFrom }: Mirror, { tag, digest }: Reference, wanted: 'manifest' | 'blob'): boolean {
  switch (pullFrom) {
    case 'all': return true
    case 'digest-only': return digest !== undefined || wanted === 'blob'
    case 'tag-only': return tag !== undefined
  }
}

function toPlace({ registry, repository }: Reference, isInsecure: boolean | undefined): Place {
  return { host: registry, repository, trust: toTrust(registry, isInsecure) }
}

/** What this client has seen of places, so that the next request need not find it out again. */
export interface PlaceMemory {
  /** Those that answered of late and did not send wrong bytes for `digest` first; otherwise in the order given. */
  order(places: readonly Place[], digest: string | undefined): Place[]
  failed(place: Place, error: unknown): void
  /** Bytes in one piece are the place's own fault; those put together after a cut get a second chance. */
  sentWrong(place: Place, digest: string, isOnePiece: boolean): void
  /** Whether it sent wrong bytes at all. */
  hasStrike(place: Place, digest: string): boolean
  /** Whether one of the places may still have the right bytes. */
  isHopeful(places: readonly Place[], digest: string): boolean
}

/** How long a place that could not be reached is asked last. */
const restMs = 60_000
const maxStrikes = 2

export function createPlaceMemory(): PlaceMemory {
  const unreachableUntilMs = new Map<string, number>()
  const strikes = new Map<string, number>()
  const strikesOf = (place: Place, digest: string): number => strikes.get(wrongKey(place, digest)) ?? 0
  const isWrong = (place: Place, digest: string): boolean => strikesOf(place, digest) >= maxStrikes
  return {
    order: (places, digest) => {
      const rank = (place: Place): number => (digest !== undefined && isWrong(place, digest) ? 2 : 0) + ((unreachableUntilMs.get(place.host) ?? 0) > performance.now() ? 1 : 0)
      return places.toSorted((one, other) => rank(one) - rank(other))
    },
    failed: (place, error) => { if (error instanceof RegistryUnreachable) unreachableUntilMs.set(place.host, performance.now() + restMs) },
    sentWrong: (place, digest, isOnePiece) => {
      strikes.set(wrongKey(place, digest), strikesOf(place, digest) + (isOnePiece ? maxStrikes : 1))
    },
    hasStrike: (place, digest) => strikesOf(place, digest) > 0,
    isHopeful: (places, digest) => places.some((place) => !isWrong(place, digest)),
  }
}

function wrongKey({ host, repository }: Place, digest: string): string {
  return `${host}/${repository} ${digest}`
}

export interface Attempt<T> {
  /** For the error that names all failures: `pull manifest "…"`. */
  readonly what: string
  readonly places: readonly Place[]
  readonly memory: PlaceMemory
  readonly signal: AbortSignal
  /** `isLast`: no other place is left, so patience is worth while. */
  readonly run: (place: Place, isLast: boolean) => Promise<T>
}

/** The first place's result that is one. @throws {AllPlacesFailed} when there were several and all failed, else the one failure */
export async function tryPlaces<T>({ what, places, memory, signal, run }: Attempt<T>): Promise<T> {
  const failures: FailedPlace[] = []
  for (const [index, place] of places.entries()) {
    try {
      return await run(place, index === places.length - 1)
    } catch (error) {
      signal.throwIfAborted()
      memory.failed(place, error)
      failures.push({ host: place.host, error })
    }
  }
  throw allFailed(what, failures)
}

/** One failure stands for itself. */
export function allFailed(what: string, failures: readonly FailedPlace[]): unknown {
  return failures.length === 1 ? failures[0]?.error : new AllPlacesFailed(what, failures)
}
