import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { failureOf } from '../../test/support/task.ts'
import { AmbiguousName, InvalidConfiguration } from '../errors.ts'
import { formatReference, parseReference } from '../reference.ts'
import type { RegistriesConfig } from './registries.ts'
import { findRule, loadRegistriesConfig, relocate, resolveName, toTrust, trustOf, trustOfUrl } from './registries.ts'

let home: string
beforeEach(async () => { home = await mkdtemp(join(tmpdir(), 'registries-')) })
afterEach(async () => { await rm(home, { recursive: true }) })

async function write(path: string, text: string): Promise<string> {
  const full = join(home, path)
  await mkdir(dirname(full), { recursive: true })
  await writeFile(full, text)
  return full
}

/** What a single file says, without those of the machine. */
async function load(text: string): Promise<RegistriesConfig> {
  return loadRegistriesConfig({ CONTAINERS_REGISTRIES_CONF: await write('registries.conf', text), CONTAINERS_REGISTRIES_CONF_DIR: join(home, 'none') })
}

describe('loadRegistriesConfig', () => {
  it('reads rules, mirrors, search registries and aliases', async () => {
    const config = await load(`
      unqualified-search-registries = ["reg.io", "other.io:5000"]
      short-name-mode = "disabled"
      credential-helpers = ["containers-auth.json"]
      [[registry]]
      prefix = "example.com/foo"
      location = "internal.net/bar/"
      blocked = false
      insecure = true
      [[registry.mirror]]
      location = "mirror-0.local/for-foo"
      [[registry.mirror]]
      location = "mirror-1.local"
      insecure = true
      pull-from-mirror = "tag-only"
      [[registry]]
      location = "digests.io"
      mirror-by-digest-only = true
      [[registry.mirror]]
      location = "mirror.digests.io"
      [aliases]
      "tool" = "quay.io/team/tool"
    `)
    expect(config).toMatchObject({
      searchRegistries: ['reg.io', 'other.io:5000'],
      shortNameMode: 'disabled',
      rules: [
        {
          prefix: 'example.com/foo', location: 'internal.net/bar', isInsecure: true, isBlocked: false,
          mirrors: [{ location: 'mirror-0.local/for-foo', isInsecure: undefined, pullFrom: 'all' }, { location: 'mirror-1.local', isInsecure: true, pullFrom: 'tag-only' }],
        },
        { prefix: 'digests.io', location: 'digests.io', isInsecure: undefined, mirrors: [{ location: 'mirror.digests.io', pullFrom: 'digest-only' }] },
      ],
    })
    expect([...config.aliases]).toEqual([['tool', 'quay.io/team/tool']])
  })

  it.each([
    ['unknown = 1', 'unknown', 'is not a known key'],
    ['[[registry]]\nlocation = "a.io"\ninsecur = true', 'registry[0].insecur', 'is not a known key'],
    ['[[registry]]\nlocation = "a.io"\n[[registry.mirror]]\nlocation = "b.io"\nblocked = true', 'registry[0].mirror[0].blocked', 'is not a known key'],
    ['[[registry]]\nlocation = "a.io"\ninsecure = "yes"', 'registry[0].insecure', 'is not true or false'],
    ['[[registry]]\nlocation = "http://a.io"', 'registry[0].prefix', 'may not have a scheme'],
    ['[[registry]]\nlocation = "a.io/x?y"', 'registry[0].prefix', 'is not of the form'],
    ['[[registry]]\nprefix = "a.io"', 'registry[0].location', 'is missing'],
    ['[[registry]]\ninsecure = true', 'registry[0]', 'neither prefix nor location'],
    ['[[registry]]\nprefix = "*.a.io/x"', 'registry[0].prefix', 'may not have a path'],
    ['[[registry]]\nlocation = "a.io"\n[[registry.mirror]]\ninsecure = true', 'registry[0].mirror[0].location', 'is missing'],
    ['[[registry]]\nlocation = "a.io"\n[[registry.mirror]]\nlocation = "b.io"\npull-from-mirror = "never"', 'registry[0].mirror[0].pull-from-mirror', 'is not "all"'],
    ['[[registry]]\nlocation = "a.io"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "b.io"\npull-from-mirror = "all"', 'registry[0].mirror[0].pull-from-mirror', 'cannot be combined'],
    ['registry = 1', 'registry', 'is not an array of tables'],
    ['unqualified-search-registries = "a.io"', 'unqualified-search-registries', 'is not an array of texts'],
    ['short-name-mode = "loose"', 'short-name-mode', 'is not "enforcing"'],
    ['credential-helpers = ["secretservice"]', 'credential-helpers', 'is not supported here'],
    ['[registries.search]\nregistries = ["a.io"]', 'registries', 'first version'],
    ['[aliases]\n"a.io/x" = "b.io/x"', 'aliases."a.io/x"', 'is not a short name'],
    ['[aliases]\n"x" = "y"', 'aliases."x"', 'is not registry and repository'],
    ['[aliases]\n"x" = "b.io/y:1"', 'aliases."x"', 'is not registry and repository'],
  ])('refuses %j, naming file and key', async (text, key, problem) => {
    const failure = await failureOf(load(text))
    expect(failure).toBeInstanceOf(InvalidConfiguration)
    expect(failure).toMatchObject({ path: join(home, 'registries.conf'), key })
    expect(String(failure)).toContain(problem)
  })

  it('tells line and column of what is not TOML', async () => {
    expect(String(await failureOf(load('a = 1\nb = = 2')))).toContain('is not TOML: line 2')
  })

  it('refuses a file that the environment names and that is not there', async () => {
    const failure = await failureOf(loadRegistriesConfig({ CONTAINERS_REGISTRIES_CONF: join(home, 'missing.conf') }))
    expect(failure).toMatchObject({ code: 'REGISTRY_INVALID_CONFIGURATION', path: join(home, 'missing.conf') })
  })

  it('lets later drop-in files replace settings, rules of the same prefix and aliases', async () => {
    const main = await write('main.conf', 'unqualified-search-registries = ["a.io"]\n[[registry]]\nlocation = "x.io"\ninsecure = true\n[aliases]\n"one" = "a.io/one"\n"two" = "a.io/two"')
    await write('drop/20.conf', 'unqualified-search-registries = ["c.io"]\n[aliases]\n"two" = ""')
    await write('drop/10.conf', 'unqualified-search-registries = ["b.io"]\n[[registry]]\nlocation = "x.io"\n[[registry]]\nlocation = "y.io"')
    await write('drop/30.conf.bak', 'not even TOML')
    const config = await loadRegistriesConfig({ CONTAINERS_REGISTRIES_CONF: main, CONTAINERS_REGISTRIES_CONF_DIR: join(home, 'drop') })
    expect(config.searchRegistries).toEqual(['c.io'])
    expect(config.rules.map(({ prefix, isInsecure }) => [prefix, isInsecure])).toEqual([['x.io', undefined], ['y.io', undefined]])
    expect([...config.aliases.keys()]).toEqual(['one'])
  })

  it("reads the user's file, and with it only the user's drop-in files", async () => {
    await write('config/containers/registries.conf', 'unqualified-search-registries = ["users.io"]')
    await write('config/containers/registries.conf.d/x.conf', '[[registry]]\nlocation = "dropped.io"')
    const config = await loadRegistriesConfig({ XDG_CONFIG_HOME: join(home, 'config') })
    expect(config.searchRegistries).toEqual(['users.io'])
    expect(config.rules.map(({ prefix }) => prefix)).toEqual(['dropped.io'])
    expect(config.aliases.size).toBe(0)
  })
})

describe('resolveName', () => {
  const names = (text: string, config: RegistriesConfig): string[] => resolveName(text, config).map(formatReference)

  it('takes Docker Hub for a short name when nothing is configured', async () => {
    expect(names('app', await load(''))).toEqual(['docker.io/library/app:latest'])
  })

  it('leaves a name with a registry as it is', async () => {
    const config = await load('unqualified-search-registries = ["a.io"]\n[aliases]\n"app" = "b.io/app"')
    expect(names('reg.io/app:1', config)).toEqual(['reg.io/app:1'])
    expect(names('localhost/app', config)).toEqual(['localhost/app:latest'])
  })

  it('replaces an alias and keeps tag and digest', async () => {
    const config = await load('unqualified-search-registries = ["a.io"]\n[aliases]\n"app" = "b.io/real/app"\n"team/x" = "docker.io/x"')
    expect(names('app', config)).toEqual(['b.io/real/app:latest'])
    expect(names(`app:1@sha256:${'b'.repeat(64)}`, config)).toEqual([`b.io/real/app:1@sha256:${'b'.repeat(64)}`])
    expect(names('team/x:2', config)).toEqual(['docker.io/library/x:2'])
    expect(names('other', config)).toEqual(['a.io/other:latest'])
  })

  it('offers every search registry in order', async () => {
    const config = await load('unqualified-search-registries = ["a.io", "docker.io"]')
    expect(names('app:1', config)).toEqual(['a.io/app:1', 'docker.io/library/app:1'])
  })

  it('refuses to choose among several registries where the configuration says so', async () => {
    const config = await load('unqualified-search-registries = ["a.io", "b.io"]\nshort-name-mode = "enforcing"')
    expect(() => resolveName('app', config)).toThrow(AmbiguousName)
    expect(names('app', await load('unqualified-search-registries = ["a.io"]\nshort-name-mode = "enforcing"'))).toEqual(['a.io/app:latest'])
  })
})

describe('findRule', () => {
  const prefixFor = async (name: string, ...prefixes: string[]): Promise<string | undefined> => {
    const config = await load(prefixes.map((prefix) => `[[registry]]\nprefix = "${prefix}"\nlocation = "x.io"\n`).join(''))
    return findRule(parseReference(name), config)?.rule.prefix
  }

  it('takes the longest prefix that ends where a part of the name ends', async () => {
    expect(await prefixFor('a.io/foo/bar:1', 'a.io', 'a.io/foo', 'a.io/foo/ba')).toBe('a.io/foo')
    expect(await prefixFor('a.io/foo/bar:1', 'a.io/foo/bar', 'a.io/foo')).toBe('a.io/foo/bar')
    expect(await prefixFor('a.io/foo/bar:1', 'a.io/foo/bar:1', 'a.io/foo/bar')).toBe('a.io/foo/bar:1')
    expect(await prefixFor('a.io.evil/foo', 'a.io')).toBeUndefined()
    expect(await prefixFor('a.io/foobar', 'a.io/foo')).toBeUndefined()
  })

  it('takes another port for another registry', async () => {
    expect(await prefixFor('localhost:5000/app', 'localhost')).toBeUndefined()
    expect(await prefixFor('localhost/app', 'localhost:5000')).toBeUndefined()
  })

  it('matches any depth of subdomains, and not the domain itself', async () => {
    expect(await prefixFor('b.a.example.com/app', '*.example.com')).toBe('*.example.com')
    expect(await prefixFor('example.com/app', '*.example.com')).toBeUndefined()
    expect(await prefixFor('reg.io/x.example.com/app', '*.example.com')).toBeUndefined()
    expect(await prefixFor('b.example.com.evil/app', '*.example.com')).toBeUndefined()
  })

  it('gives what a location makes of the name', () => {
    expect(formatReference(relocate('internal.net/bar', '/my/image:1'))).toBe('internal.net/bar/my/image:1')
    expect(formatReference(relocate('mirror.io', '/library/app:1'))).toBe('mirror.io/library/app:1')
  })
})

describe('trustOf', () => {
  it('leaves the hosts of insecure locations and mirrors unchecked, port included', async () => {
    const config = await load('[[registry]]\nprefix = "a.io"\nlocation = "b.io:5000/x"\ninsecure = true\n[[registry.mirror]]\nlocation = "m.io"\ninsecure = true\n[[registry.mirror]]\nlocation = "n.io"\n[[registry]]\nprefix = "*.lan"\ninsecure = true')
    expect(['b.io:5000', 'm.io', 'x.lan', 'a.io', 'b.io', 'n.io', 'm.io:80'].map((host) => trustOf(host, config))).toEqual(['unchecked', 'unchecked', 'unchecked', 'checked', 'checked', 'checked', 'checked'])
  })

  it('knows an address without port by the one its scheme stands for', async () => {
    const config = await load('[[registry]]\nlocation = "a.io:80"\ninsecure = true\n[[registry]]\nlocation = "b.io:443"\ninsecure = true\n[[registry]]\nlocation = "c.io"\ninsecure = true')
    const trusted = ['http://a.io:80', 'https://b.io:443', 'http://c.io:80', 'https://c.io:443', 'https://a.io', 'http://b.io', 'http://c.io:81'].filter((text) => trustOfUrl(new URL(text), config) === 'unchecked')
    expect(trusted).toEqual(['http://a.io:80', 'https://b.io:443', 'http://c.io:80', 'https://c.io:443'])
  })

  it('takes this machine as it comes, unless the configuration says how', async () => {
    const config = await load('[[registry]]\nlocation = "127.0.0.1:1"\ninsecure = false\n[[registry]]\nlocation = "localhost:2"\ninsecure = true')
    expect(['127.0.0.1:1', 'localhost:2', 'localhost', '127.1.2.3:5000', '[::1]:5000'].map((host) => trustOf(host, config))).toEqual(['checked', 'unchecked', 'unchecked-here', 'unchecked-here', 'unchecked-here'])
    expect(['localhost.example', '10.0.0.1', '127.0.0.1.example:80', '[::2]'].map((host) => toTrust(host, undefined))).toEqual(['checked', 'checked', 'checked', 'checked'])
  })
})
