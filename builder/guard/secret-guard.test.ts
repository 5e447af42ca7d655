import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { createTask } from '../../core/task.ts'
import { SecretLeaked } from './errors.ts'
import { LogMask, maskText } from './log-mask.ts'
import { SecretGuard } from './secret-guard.ts'
import type { SecretPattern } from './secret-patterns.ts'
import { isTooShort, secretPatterns } from './secret-patterns.ts'
import { SecretScanner } from './secret-search.ts'

const value = 'hunter2/Top+Secret=42 ünd'
const patterns = secretPatterns('t', Buffer.from(`${value}\n`))
const folder = mkdtempSync(join(tmpdir(), 'tsbuild-guard-'))
afterAll(() => { rmSync(folder, { recursive: true, force: true }) })

function shell(script: string): Buffer {
  return execFileSync('/bin/sh', ['-c', script], { env: { ...process.env, T: value } })
}

/** As programs write it. */
const forms: readonly (readonly [what: string, encoding: string, bytes: Buffer])[] = [
  ['itself', 'plain', Buffer.from(value)],
  ['amid other text', 'plain', Buffer.from(`token: "${value}"`)],
  ['base64', 'base64', shell('printf %s "$T" | base64')],
  ['base64 with a line break in it', 'base64', shell('echo "$T" | base64')],
  ['base64 as a part of something longer', 'base64', shell('printf "user:%s!" "$T" | base64 -w 16')],
  ['base64 for URLs', 'base64', Buffer.from(Buffer.from(`ab${value}`).toString('base64url'))],
  ['hex', 'hex', Buffer.from(Buffer.from(value).toString('hex'))],
  ['hex as od writes it', 'hex', shell('printf %s "$T" | od -An -v -tx1')],
  ['upper-case hex', 'hex', Buffer.from(Buffer.from(value).toString('hex').toUpperCase())],
  ['a URL component', 'url-encoded', Buffer.from(`https://x/?t=${encodeURIComponent(value)}&u=1`)],
  ['a form field', 'url-encoded', Buffer.from(new URLSearchParams({ t: value }).toString())],
]

describe('the search for secrets', () => {
  it.each(forms)('finds a value as %s', (_, encoding, bytes) => {
    const scanner = new SecretScanner(patterns)
    scanner.add(Buffer.concat([Buffer.alloc(5000, 'x'), bytes, Buffer.alloc(100, 'y')]))
    expect([...scanner.found].map((pattern) => pattern.encoding)).toContain(encoding)
  })

  it.each(forms)('finds a value as %s wherever the pieces are cut', (_, __, bytes) => {
    for (let cut = 1; cut < bytes.length; cut += 1) {
      const scanner = new SecretScanner(patterns)
      scanner.add(bytes.subarray(0, cut))
      scanner.add(bytes.subarray(cut))
      expect(scanner.found.size).toBeGreaterThan(0)
    }
  })

  it('finds each longer line of a value by itself, but not what begins every key', () => {
    const key = secretPatterns('key', Buffer.from('-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIBase64Line1\nshort\n-----END PRIVATE KEY-----\n'))
    const scanner = new SecretScanner(key)
    scanner.add(Buffer.from('-----BEGIN PRIVATE KEY----- short'))
    expect(scanner.found.size).toBe(0)
    scanner.add(Buffer.from('xMC4CAQAwBQYDK2VwBCIEIBase64Line1'))
    expect(scanner.found.size).toBeGreaterThan(0)
  })

  it('lets certificates and public keys pass: images hold the authorities that a bundle holds', () => {
    const bundle = '# Some authority\n-----BEGIN CERTIFICATE-----\nMIIFYDCCA0igAwIBAgIQCgFCgAAAAUUjyES1\n-----END CERTIFICATE-----\n\n'
    expect(secretPatterns('ca', Buffer.from(bundle + bundle))).toEqual([])
    const withKey = secretPatterns('ca', Buffer.from(`${bundle}-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIE\n-----END PRIVATE KEY-----\n`))
    const plain = withKey.filter(({ encoding }) => encoding === 'plain').map(({ text }) => text)
    expect(plain).toEqual([expect.stringContaining('BEGIN'), 'MC4CAQAwBQYDK2VwBCIE'])
  })

  it('takes of a configuration only the lines that tell something, not those every such file has', () => {
    const settings = '<?xml version="1.0" encoding="UTF-8"?>\n<password>swordfish</password>\nregion = eu-central-1\n//registry.npmjs.org/:_authToken=abc\nid 9f86d081884c7d65\n'
    const plain = secretPatterns('s', Buffer.from(settings)).filter(({ encoding }) => encoding === 'plain').map(({ text }) => text)
    expect(plain.slice(1)).toEqual(['<password>swordfish</password>', '//registry.npmjs.org/:_authToken=abc', 'id 9f86d081884c7d65'])
  })

  it('finds of many patterns exactly those that are there', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', ' '), minLength: 6, maxLength: 12 })
    fc.assert(fc.property(fc.array(letters, { minLength: 1, maxLength: 20 }), fc.string({ unit: fc.constantFrom('a', 'b', ' '), maxLength: 400 }), fc.nat(400), (texts, text, cut) => {
      const all = texts.map((wanted): SecretPattern => ({ secret: 's', encoding: 'plain', text: wanted, isLoose: false }))
      const scanner = new SecretScanner(all)
      scanner.add(Buffer.from(text.slice(0, cut)))
      scanner.add(Buffer.from(text.slice(cut)))
      expect([...scanner.found].map((pattern) => pattern.text).toSorted()).toEqual(texts.filter((wanted) => text.includes(wanted)).toSorted())
    }))
  })

  it('does not search for what is too short to mean anything', () => {
    expect([`abc${'\n'.repeat(2000)}`, '', 'abcde\r\n', 'abcdef'].map((text) => isTooShort(Buffer.from(text)))).toEqual([true, true, true, false])
    expect(secretPatterns('t', Buffer.from('12345\n'))).toEqual([])
  })

  it('finds nothing in what holds nothing', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 5000 }), (bytes) => {
      const scanner = new SecretScanner(patterns)
      scanner.add(bytes)
      expect(scanner.found.size).toBe(0)
    }))
  })
})

describe('the mask', () => {
  it.each(forms)('takes a value written as %s out of a log, wherever its pieces are cut', (_, __, bytes) => {
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const mask = new LogMask(patterns)
      const shown = Buffer.concat([Buffer.from('before '), mask.add(bytes.subarray(0, cut)), mask.add(bytes.subarray(cut)), mask.end()]).toString()
      expect(shown).toContain('***')
      const again = new SecretScanner(patterns)
      again.add(Buffer.from(shown))
      expect(again.found.size).toBe(0)
      expect([...mask.seen.keys()]).toEqual(['t'])
    }
  })

  it('leaves every other byte as it is', () => {
    fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 100 })), (pieces) => {
      const mask = new LogMask(patterns)
      expect(Buffer.concat([...pieces.map((piece) => mask.add(piece)), mask.end()])).toEqual(Buffer.concat(pieces))
    }))
  })

  it('says in which line of a log a secret was first', () => {
    const mask = new LogMask(patterns)
    for (const piece of ['one\ntwo', '\nthree ', value.slice(0, 5), `${value.slice(5)}\n`, `${value}\n`]) mask.add(Buffer.from(piece))
    expect([...mask.seen.values()].map(({ line }) => line)).toEqual([3])
  })

  it('holds back no more than what may be the beginning of a secret', () => {
    const mask = new LogMask(secretPatterns('t', Buffer.from('swordfish!')))
    expect(mask.add(Buffer.from('compiling\n')).toString()).toBe('compiling\n')
    expect(mask.add(Buffer.from('x swor')).toString()).toBe('x ')
    expect(mask.add(Buffer.from('d and shield')).toString()).toBe('sword and shield')
    expect(maskText('a swordfish! b', secretPatterns('t', Buffer.from('swordfish!')))).toBe('a *** b')
  })
})

describe('the guard of a tree', () => {
  const guard = new SecretGuard(patterns)
  const fill = (name: string, make: (path: string) => void): string => {
    const path = join(folder, name)
    mkdirSync(path)
    make(path)
    return path
  }
  const check = (path: string): Promise<unknown> => guard.checkDirectory(path, createTask())

  it.each([
    ['file "/a/b/c", base64', (path: string) => { mkdirSync(join(path, 'a/b'), { recursive: true }); writeFileSync(join(path, 'a/b/c'), Buffer.from(value).toString('base64')) }],
    ['name of "/x-***.txt"', (path: string) => { writeFileSync(join(path, `x-${value.replace('/', '%2F')}.txt`), '') }],
    ['link target of "/link"', (path: string) => { symlinkSync(value, join(path, 'link')) }],
  ])('names the place: %s', async (place, make) => {
    const own = place.startsWith('name') ? new SecretGuard(secretPatterns('t', Buffer.from(value.replace('/', '%2F')))) : guard
    const error: unknown = await own.checkDirectory(fill(place.replaceAll(/\W/gu, ''), make), createTask()).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(SecretLeaked)
    expect((error as SecretLeaked).message).toBe(`cannot keep the value of a secret: "t" is in ${place}`)
    expect((error as SecretLeaked).message).not.toContain('hunter2')
  })

  it('finds a value in the middle of a large file, and lets a tree without one pass', async () => {
    await expect(check(fill('large', (path) => { writeFileSync(join(path, 'big'), Buffer.concat([Buffer.alloc(1024 * 1024 - 7), Buffer.from(value), Buffer.alloc(3_000_000)])) }))).rejects.toThrow('file "/big"')
    await expect(check(fill('clean', (path) => { writeFileSync(join(path, 'a'), 'hunter2'); symlinkSync('/etc/passwd', join(path, 'b')) }))).resolves.toBeUndefined()
  })

  it('finds a value in environment, labels, commands and history of an image', () => {
    const config = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers' as const, diff_ids: [] } }
    expect(() => { guard.checkConfig({ ...config, config: { Env: [`TOKEN=${value}`] } }) }).toThrow('image config config Env TOKEN')
    expect(() => { guard.checkConfig({ ...config, config: { Labels: { a: Buffer.from(value).toString('hex') } } }) }).toThrow('image config config Labels a, hex')
    expect(() => { guard.checkConfig({ ...config, history: [{ created_by: 'x' }, { created_by: `RUN |1 T=${value} make` }] }) }).toThrow('image history, entry 2')
    guard.checkConfig({ ...config, config: { Env: ['TOKEN=other'], Cmd: ['sh'] }, history: [{ created_by: 'RUN make' }] })
  })
})
