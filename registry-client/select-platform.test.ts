import { describe, expect, it } from 'vitest'
import type { Descriptor } from '../oci/descriptor.ts'
import { mediaTypes } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { selectPlatform } from './select-platform.ts'

const amd64 = { os: 'linux', architecture: 'amd64' }

describe('selectPlatform', () => {
  const entry = (size: number, platform?: { os: string; architecture: string; variant?: string }, mediaType: string = mediaTypes.ociManifest): Descriptor => ({ mediaType, digest: `sha256:${'a'.repeat(64)}` as Digest, size, ...(platform === undefined ? {} : { platform }) })
  const choose = (wanted: { os: string; architecture: string; variant?: string }, ...manifests: Descriptor[]): number | undefined => selectPlatform({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }, wanted)?.size

  it('takes the first of equals', () => {
    expect(choose(amd64, entry(1, amd64), entry(2, amd64))).toBe(1)
  })

  it('takes the highest variant that runs', () => {
    const arm = (variant: string): { os: string; architecture: string; variant: string } => ({ os: 'linux', architecture: 'arm', variant })
    expect(choose(arm('v7'), entry(5, arm('v5')), entry(6, arm('v6')), entry(8, arm('v8')))).toBe(6)
    expect(choose(arm('v6'), entry(7, arm('v7')))).toBeUndefined()
    expect(choose({ os: 'linux', architecture: 'amd64' }, entry(3, { ...amd64, variant: 'v3' }), entry(1, amd64))).toBe(1)
  })

  it('passes over attestations and what is no image', () => {
    expect(choose(amd64, entry(1, { os: 'unknown', architecture: 'unknown' }), entry(2, amd64, 'application/vnd.example'), entry(3, amd64))).toBe(3)
    expect(choose(amd64, entry(1, { os: 'unknown', architecture: 'unknown' }))).toBeUndefined()
  })

  it('takes an entry that names no platform only where it is alone', () => {
    expect(choose(amd64, entry(1), entry(2, { os: 'unknown', architecture: 'unknown' }))).toBe(1)
    expect(choose(amd64, entry(1), entry(2))).toBeUndefined()
    expect(choose(amd64, entry(1), entry(2, amd64))).toBe(2)
    expect(choose(amd64)).toBeUndefined()
  })
})
