import { describe, expect, it } from 'vitest'
import { chainIds, createDigester, digestHex, isDigest, parseDiffId, parseDigest, sha256 } from './digest.ts'

const empty = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

describe('parseDigest', () => {
  it('takes sha256 and sha512 in lower case', () => {
    expect(parseDigest(empty)).toBe(empty)
    expect(isDigest(`sha512:${'0'.repeat(128)}`)).toBe(true)
    expect(digestHex(parseDigest(empty))).toHaveLength(64)
  })

  it.each([
    'sha256:../../../etc/passwd', `sha256:${'A'.repeat(64)}`, 'sha256:abc', `sha512:${'0'.repeat(64)}`, `md5:${'0'.repeat(32)}`,
    `${empty}?x`, `${empty}\n`, ` ${empty}`, empty.slice(7), '',
  ])('refuses %j', (text) => {
    expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: 'OCI_MALFORMED_DIGEST', text }))
  })
})

it('digests bytes given in pieces like bytes given at once', () => {
  const digester = createDigester()
  digester.update(new TextEncoder().encode('he'))
  digester.update(new TextEncoder().encode('llo'))
  expect(digester.finish()).toBe(sha256('hello'))
  expect(sha256('')).toBe(empty)
})

it('chains diffIDs as the image specification does', () => {
  const a = parseDiffId(sha256('a'))
  const b = parseDiffId(sha256('b'))
  const c = parseDiffId(sha256('c'))
  const second = sha256(`${a} ${b}`)
  expect(chainIds([a, b, c])).toEqual([a, second, sha256(`${second} ${c}`)])
})
