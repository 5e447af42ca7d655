import { describe, expect, it } from 'vitest'
import { ForbiddenTarget } from '../errors.ts'
import type { AddressClass } from './address.ts'
import { classifyAddress, mayLeadTo } from './address.ts'
import { followPointer } from './pointer.ts'
import { parseRetryAfter } from './retry.ts'

describe('classifyAddress', () => {
  it.each([
    ['8.8.8.8', 'public'], ['2001:4860:4860::8888', 'public'], ['172.32.0.1', 'public'], ['100.128.0.1', 'public'],
    ['10.0.0.1', 'private'], ['172.16.0.1', 'private'], ['172.31.255.255', 'private'], ['192.168.1.1', 'private'], ['100.64.0.1', 'private'], ['fd12::1', 'private'],
    ['127.0.0.1', 'loopback'], ['127.255.0.1', 'loopback'], ['0.0.0.0', 'loopback'], ['::1', 'loopback'], ['[::1]', 'loopback'], ['::', 'loopback'],
    ['169.254.169.254', 'link-local'], ['fe80::1', 'link-local'], ['fe80::1%eth0', 'link-local'], ['fd00:ec2::254', 'link-local'], ['100.100.100.200', 'link-local'], ['224.0.0.1', 'link-local'], ['255.255.255.255', 'link-local'], ['ff02::1', 'link-local'],
    ['::ffff:127.0.0.1', 'loopback'], ['::ffff:a9fe:a9fe', 'link-local'], ['::ffff:10.0.0.1', 'private'],
    ['64:ff9b::7f00:1', 'loopback'], ['64:ff9b::a9fe:a9fe', 'link-local'], ['2002:a00:1::', 'private'], ['2002:808:808::1', 'public'],
  ])('takes %s for %s', (address, expected) => {
    expect(classifyAddress(address)).toBe(expected)
  })
})

describe('mayLeadTo', () => {
  it('lets a registry lead no further inside than it is itself', () => {
    const classes: AddressClass[] = ['public', 'private', 'loopback', 'link-local']
    const table = Object.fromEntries(classes.map((home) => [home, classes.filter((target) => mayLeadTo(target, home))]))
    expect(table).toEqual({ public: ['public'], private: ['public', 'private'], loopback: ['public', 'private', 'loopback'], 'link-local': ['public', 'private', 'link-local'] })
  })
})

describe('followPointer', () => {
  const follow = (text: string, home: AddressClass = 'public', from = 'https://reg.io/v2/x'): URL => followPointer({ text, from: new URL(from), sentBy: { kind: 'redirect', host: 'reg.io', home } })

  it.each([
    ['/v2/y?a=%2B&b', 'https://reg.io/v2/y?a=%2B&b'],
    ['y', 'https://reg.io/v2/y'],
    ['https://cdn.io/blob?sig=x#part', 'https://cdn.io/blob?sig=x'],
    ['//cdn.io/blob', 'https://cdn.io/blob'],
    ['https://reg.io:443/z', 'https://reg.io/z'],
  ])('leads %s to %s', (text, expected) => {
    expect(follow(text).href).toBe(expected)
  })

  it.each([
    ['', 'it is no address'],
    ['http://[', 'it is no address'],
    ['http://reg.io/x', 'from https to http'],
    ['file:///etc/passwd', 'neither http nor https'],
    ['data:text/plain,x', 'neither http nor https'],
    ['ftp://cdn.io/', 'neither http nor https'],
    ['https://user:pw@cdn.io/', 'credentials in it'],
    ['https://user@reg.io/', 'credentials in it'],
    ['https://169.254.169.254/latest', 'a network'],
    ['https://127.0.0.1/', 'a network'],
    ['https://2130706433/', 'a network'],
    ['https://0x7f.1/', 'a network'],
    ['https://[::1]/', 'a network'],
    ['https://[::ffff:10.0.0.1]/', 'a network'],
    ['https://10.1.2.3/', 'a network'],
  ])('refuses %s', (text, problem) => {
    expect(() => follow(text)).toThrow(ForbiddenTarget)
    expect(() => follow(text)).toThrow(problem)
  })

  it('says nothing of path, query and credentials', () => {
    expect(() => follow('http://user:pw@cdn.io/path?sig=secret')).toThrow(/"http:\/\/cdn\.io": it leads from/u)
  })

  it('lets a registry on this machine lead to this machine, and to no metadata service', () => {
    expect(follow('http://127.0.0.1:9/x', 'loopback', 'http://localhost:5000/').href).toBe('http://127.0.0.1:9/x')
    expect(() => follow('http://169.254.169.254/x', 'loopback', 'http://localhost:5000/')).toThrow(ForbiddenTarget)
  })
})

describe('parseRetryAfter', () => {
  const now = Date.parse('Sat, 22 Nov 2025 10:00:00 GMT')
  it.each([
    ['0', 0], ['7', 7000], ['1000000000000', 1e15], ['Sat, 22 Nov 2025 10:00:30 GMT', 30_000], ['Sat, 22 Nov 2025 09:00:00 GMT', 0],
    ['-1', undefined], ['soon', undefined], ['1.5', undefined], ['', undefined], ['Sat, 99 Nov', undefined], [undefined, undefined],
  ])('reads %s as %s', (text, expected) => {
    expect(parseRetryAfter(text, now)).toBe(expected)
  })
})
