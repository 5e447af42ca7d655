import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MalformedReference } from './errors.ts'
import { formatFamiliar, formatReference, isQualified, parseReference } from './reference.ts'

const digest = `sha256:${'a'.repeat(64)}`

describe('parseReference', () => {
  it.each([
    ['app', 'docker.io/library/app:latest'],
    ['app:1', 'docker.io/library/app:1'],
    ['team/app', 'docker.io/team/app:latest'],
    ['docker.io/app', 'docker.io/library/app:latest'],
    ['index.docker.io/app', 'docker.io/library/app:latest'],
    ['docker.io/library/app', 'docker.io/library/app:latest'],
    ['localhost/app', 'localhost/app:latest'],
    ['localhost:5000/app', 'localhost:5000/app:latest'],
    ['localhost/a/b:c', 'localhost/a/b:c'],
    ['app:5000', 'docker.io/library/app:5000'],
    ['reg.io/app', 'reg.io/app:latest'],
    ['reg.io:443/a/b/c:Tag_1.x-y', 'reg.io:443/a/b/c:Tag_1.x-y'],
    ['REG/app', 'REG/app:latest'],
    ['192.168.0.1/app', '192.168.0.1/app:latest'],
    ['[::1]:5000/app', '[::1]:5000/app:latest'],
    ['[2001:db8::1]/app', '[2001:db8::1]/app:latest'],
    ['a__b-d---e/f_g.h', 'docker.io/a__b-d---e/f_g.h:latest'],
    [`app@${digest}`, `docker.io/library/app@${digest}`],
    [`reg.io/app:1@${digest}`, `reg.io/app:1@${digest}`],
    [`app:${'t'.repeat(128)}`, `docker.io/library/app:${'t'.repeat(128)}`],
  ])('reads %s as %s', (text, canonical) => {
    expect(formatReference(parseReference(text))).toBe(canonical)
  })

  it.each([
    ['', 'it names no repository'],
    ['App', 'its repository has capital letters'],
    ['reg.io/Team/app', 'its repository has capital letters'],
    ['app:', 'behind ":" there is no tag'],
    [`app:${'t'.repeat(129)}`, 'behind ":" there is no tag'],
    ['app:-x', 'behind ":" there is no tag'],
    ['app@', 'behind "@" there is no'],
    ['app@sha256:abc', 'behind "@" there is no'],
    [`app@sha512:${'a'.repeat(64)}`, 'behind "@" there is no'],
    [`app@SHA256:${'a'.repeat(64)}`, 'behind "@" there is no'],
    [`app@${digest}@${digest}`, 'behind "@" there is no'],
    [`app@sha256:../../../../${'a'.repeat(52)}`, 'behind "@" there is no'],
    ['a'.repeat(64), 'it is an image id'],
    ['reg.io/', 'it names no repository'],
    ['reg.io//app', 'not made of lower-case'],
    ['/app', 'not made of lower-case'],
    ['app/', 'not made of lower-case'],
    ['a..b', 'not made of lower-case'],
    ['a___b', 'not made of lower-case'],
    ['-app', 'not made of lower-case'],
    ['reg.io/../app', 'not made of lower-case'],
    ['https://reg.io/app', 'its registry is not of the form'],
    ['user@reg.io/app', 'behind "@" there is no'],
    ['reg.io:x/app', 'its registry is not of the form'],
    ['-reg.io/app', 'its registry is not of the form'],
    ['reg.io:99999/app', 'no address that can be contacted'],
    ['app name', 'not made of lower-case'],
    ['app\n', 'not made of lower-case'],
    [`reg.io/${'a'.repeat(256)}`, 'more than 255'],
    ['a/'.repeat(4000), 'it has 8000 characters'],
  ])('refuses %j', (text, problem) => {
    const failure = (): unknown => parseReference(text)
    expect(failure).toThrow(MalformedReference)
    expect(failure).toThrow(problem)
  })

  it('adds no tag where the caller wants none', () => {
    expect(parseReference('app', { defaultTag: undefined }).tag).toBeUndefined()
  })

  it('takes the longest repository that is allowed', () => {
    expect(parseReference(`reg.io/${'a'.repeat(255)}`).repository).toHaveLength(255)
  })

  it('reads every canonical and familiar name back as the same reference', () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,6}(?:(?:[._]|__|-{1,3})[a-z0-9]{1,4}){0,2}$/u)
    const registry = fc.constantFrom('docker.io', 'localhost', 'reg.io', 'reg.io:5000', '[::1]:80')
    const ending = fc.tuple(fc.constantFrom('', ':latest', ':1.0_x-Y'), fc.constantFrom('', `@${digest}`))
    fc.assert(fc.property(registry, fc.array(part, { minLength: 1, maxLength: 4 }), ending, (host, parts, [tag, digestText]) => {
      const text = `${host}/${parts.join('/')}${tag}${digestText}`
      const reference = parseReference(text)
      expect(parseReference(formatReference(reference))).toEqual(reference)
      expect(parseReference(formatFamiliar(reference))).toEqual(reference)
    }))
  })
})

describe('formatFamiliar', () => {
  it.each([
    ['docker.io/library/app:1', 'app:1'],
    ['docker.io/team/app:1', 'team/app:1'],
    ['docker.io/library/a/b:1', 'library/a/b:1'],
    ['reg.io/library/app:1', 'reg.io/library/app:1'],
    ['docker.io/a.io/app:1', 'docker.io/a.io/app:1'],
  ])('shortens %s to %s', (canonical, familiar) => {
    expect(formatFamiliar(parseReference(canonical))).toBe(familiar)
  })
})

describe('isQualified', () => {
  it.each([['app', false], ['team/app:1', false], ['localhost/app', true], ['reg.io/app', true], ['docker.io/app', true], ['app:5000', false]])('says of %s %s', (text, expected) => {
    expect(isQualified(text)).toBe(expected)
  })
})
