import { describe, expect, it } from 'vitest'
import { formatPlatform, hostPlatform, parsePlatform, platformDistance } from './platform.ts'

const amd64 = hostPlatform('x64')
const parse = (text: string): string => formatPlatform(parsePlatform(text, amd64))

describe('parsePlatform', () => {
  it.each([
    ['linux/amd64', 'linux/amd64'], ['linux/x86_64', 'linux/amd64'], ['LINUX/AMD64', 'linux/amd64'], ['linux/amd64/v1', 'linux/amd64'],
    ['linux/arm64/v8', 'linux/arm64'], ['linux/aarch64', 'linux/arm64'], ['linux/arm', 'linux/arm/v7'], ['linux/armhf', 'linux/arm/v7'],
    ['linux/armel', 'linux/arm/v6'], ['linux/arm/6', 'linux/arm/v6'], ['arm64', 'linux/arm64'], ['windows', 'windows/amd64'], ['linux', 'linux/amd64'],
  ])('reads %s as %s', (text, expected) => {
    expect(parse(text)).toBe(expected)
  })

  it.each(['', 'linux/', 'linux/amd64/v1/x', 'linux amd64', 'linux/$ARCH'])('refuses %j', (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'OCI_MALFORMED_DOCUMENT', kind: 'platform' }))
  })
})

describe('platformDistance', () => {
  const distance = (wanted: string, offered: string): number | undefined => platformDistance(parsePlatform(wanted, amd64), parsePlatform(offered, amd64))

  it('takes older variants where the machine runs them, the nearest first', () => {
    expect(distance('linux/arm/v7', 'linux/arm/v7')).toBe(0)
    expect(distance('linux/arm/v7', 'linux/arm/v6')).toBe(1)
    expect(distance('linux/amd64/v3', 'linux/amd64')).toBe(2)
  })

  it('refuses what the machine cannot run', () => {
    expect(distance('linux/arm/v6', 'linux/arm/v7')).toBeUndefined()
    expect(distance('linux/amd64', 'linux/arm64')).toBeUndefined()
    expect(distance('linux/amd64', 'windows/amd64')).toBeUndefined()
  })
})
