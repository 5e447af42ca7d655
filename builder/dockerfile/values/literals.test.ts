import { describe, expect, it } from 'vitest'
import type { Platform } from '../../../oci/platform.ts'
import { parseChecksum } from './checksum.ts'
import { parseChown } from './chown.ts'
import { parsePlatformFlag } from './platform.ts'
import { parseStopSignal } from './signal.ts'
import { parseSize } from './size.ts'

const place = { source: { name: 'Dockerfile', text: '' }, range: { startLine: 1, startColumn: 0, endLine: 1, endColumn: 1 } }

describe('parseChown', () => {
  it('tells user, group and whether a colon was written', () => {
    expect(['me', 'me:', ':them', '1000:www-data', '4294967294', 'a.b-c_d$'].map((text) => parseChown(text, place))).toEqual([
      { user: 'me', group: undefined, hasColon: false }, { user: 'me', group: undefined, hasColon: true }, { user: undefined, group: 'them', hasColon: true },
      { user: '1000', group: 'www-data', hasColon: true }, { user: '4294967294', group: undefined, hasColon: false }, { user: 'a.b-c_d$', group: undefined, hasColon: false },
    ])
  })

  it.each(['', ':', '1:2:3', '-1', '4294967295', '1:4294967296', 'a b', 'a:/b', 'a\0'])('refuses %j', (text) => {
    expect(() => parseChown(text, place)).toThrow(expect.objectContaining({ rule: 'owner' }))
  })
})

describe('parseStopSignal', () => {
  it.each(['SIGTERM', 'TERM', 'sigterm', '9', '64', 'RTMIN+3', 'SIGRTMAX-14', 'SIGRTMIN+15'])('keeps %s as written', (text) => {
    expect(parseStopSignal(text, place)).toBe(text)
  })

  it.each(['0', '65', '-9', '99', 'FOO', 'SIGRTMIN+40', 'SIGKILL TERM', '', '1.5', 'SIGSIGTERM'])('refuses %j', (text) => {
    expect(() => parseStopSignal(text, place)).toThrow(expect.objectContaining({ rule: 'signal' }))
  })

  it('suggests the nearest signal', () => {
    expect(() => parseStopSignal('SIGTREM', place)).toThrow(expect.objectContaining({ suggestion: 'SIGTERM' }))
  })
})

describe('parseChecksum', () => {
  it('tells the digest of a download from the commit of a repository', () => {
    expect(parseChecksum(`sha256:${'a'.repeat(64)}`, place)).toEqual({ kind: 'digest', algorithm: 'sha256', hex: 'a'.repeat(64) })
    expect(parseChecksum(`sha512:${'0'.repeat(128)}`, place)).toMatchObject({ algorithm: 'sha512' })
    expect(parseChecksum('f'.repeat(40), place)).toEqual({ kind: 'commit', hex: 'f'.repeat(40) })
  })

  it.each(['', 'sha256:', `sha256:${'a'.repeat(63)}`, `sha256:${'A'.repeat(64)}`, `md5:${'a'.repeat(32)}`, 'abcdef1', `sha512:${'a'.repeat(64)}`, 'g'.repeat(40)])('refuses %j', (text) => {
    expect(() => parseChecksum(text, place)).toThrow(expect.objectContaining({ rule: 'checksum' }))
  })
})

describe('parseSize', () => {
  it.each([['0', 0], ['512', 512], ['1k', 1024], ['1KiB', 1024], ['1kb', 1024], ['64 mb', 64 * 2 ** 20], ['1.5g', 1.5 * 2 ** 30], ['.5m', 2 ** 19], ['1T', 2 ** 40], ['100b', 100], ['1.9', 1], ['1 ', 1]])('%s is %d bytes', (text, bytes) => {
    expect(parseSize(text, place)).toBe(bytes)
  })

  it.each(['', '-1', '1q', 'k', '1ki', '1e3', '99999p', '1..5k', 'Infinity', '0x10'])('refuses %j', (text) => {
    expect(() => parseSize(text, place)).toThrow(expect.objectContaining({ rule: 'number' }))
  })
})

describe('parsePlatformFlag', () => {
  const base: Platform = { os: 'linux', architecture: 'amd64' }
  const expansion = (text: string, ...unset: readonly string[]): { text: string; used: Set<string>; unset: Set<string> } => ({ text, used: new Set(), unset: new Set(unset) })

  it('reads what the registry world calls platforms', () => {
    expect(parsePlatformFlag(expansion('linux/arm/v7'), { base, known: [] }, place)).toMatchObject({ os: 'linux', architecture: 'arm', variant: 'v7' })
  })

  it('names the variable that left it empty, and the one that was meant', () => {
    expect(() => parsePlatformFlag(expansion('', 'BUILDPLATFROM'), { base, known: ['BUILDPLATFORM', 'TARGETPLATFORM'] }, place))
      .toThrow(expect.objectContaining({ rule: 'platform', suggestion: 'BUILDPLATFORM' }))
  })

  it('takes names from Object.prototype for names', () => {
    expect(parsePlatformFlag(expansion('linux/__proto__/v1'), { base, known: [] }, place)).toMatchObject({ architecture: '__proto__', variant: 'v1' })
    expect(parsePlatformFlag(expansion('linux/constructor'), { base, known: [] }, place)).toEqual({ os: 'linux', architecture: 'constructor' })
  })

  it('refuses what is no platform', () => {
    expect(() => parsePlatformFlag(expansion('a/b/c/d'), { base, known: [] }, place)).toThrow(expect.objectContaining({ rule: 'platform' }))
  })
})
