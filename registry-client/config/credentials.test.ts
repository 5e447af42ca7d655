import { chmod, mkdir, rename, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { useHome } from '../../test/support/home.ts'
import { failureOf } from '../../test/support/task.ts'
import { InvalidConfiguration } from '../errors.ts'
import { loadCredentials } from './credentials.ts'
import { Secret } from './secret.ts'

const secret = 'S3cr3t-of-the-test'
const home = useHome()
const encode = (text: string): string => Buffer.from(text).toString('base64')

describe('loadCredentials', () => {
  it('finds no credentials where there is no file', async () => {
    expect(await home.findCredential('reg.io')).toBeUndefined()
  })

  it("reads Docker's file, with colons in the password, identity tokens and plain fields", async () => {
    await home.writeDockerConfig({ auths: {
      'reg.io': { auth: encode('user:pass:word') },
      'https://token.io/v2/': { auth: encode('x:y'), identitytoken: 'identity' },
      'plain.io': { username: 'u', password: 'p' },
      'given.io': { registrytoken: 'given' },
      'kept.io': {},
    } })
    expect(await home.findCredential('reg.io')).toBe('user:pass:word')
    expect(await home.findCredential('token.io')).toBe('identity-token identity')
    expect(await home.findCredential('plain.io')).toBe('u:p')
    expect(await home.findCredential('given.io')).toBe('registry-token given')
    expect(await home.findCredential('kept.io')).toBeUndefined()
  })

  it.each(['https://index.docker.io/v1/', 'index.docker.io', 'docker.io', 'registry-1.docker.io'])('knows Docker Hub as %s', async (key) => {
    await home.writeDockerConfig({ auths: { [key]: { auth: encode('hub:pw') } } })
    expect(await home.findCredential('docker.io')).toBe('hub:pw')
  })

  it('takes a host with its port for what it is and nothing near it', async () => {
    await home.writeDockerConfig({ auths: { 'reg.io': { auth: encode('a:b') }, 'reg.io:5000': { auth: encode('c:d') }, 'https://other.io/path': { auth: encode('e:f') } } })
    expect(await Promise.all(['reg.io', 'reg.io:5000', 'reg.io:443', 'reg.io.evil', 'eg.io', 'evil-reg.io', 'index.docker.io.evil', 'docker.io', 'other.io'].map((host) => home.findCredential(host))))
      .toEqual(['a:b', 'c:d', undefined, undefined, undefined, undefined, undefined, undefined, 'e:f'])
  })

  it('prefers the entry nearest to the repository', async () => {
    await home.write('.config/containers/auth.json', { auths: { 'reg.io/team/app': { auth: encode('app:1') }, 'reg.io/team': { auth: encode('team:1') }, 'reg.io': { auth: encode('reg:1') } } })
    expect(await home.findCredential('reg.io', 'team/app')).toBe('app:1')
    expect(await home.findCredential('reg.io', 'team/other')).toBe('team:1')
    expect(await home.findCredential('reg.io', 'teams/app')).toBe('reg:1')
    expect(await home.findCredential('reg.io', 'team/app/sub')).toBe('app:1')
  })

  it('searches the files in order and lets REGISTRY_AUTH_FILE stand alone', async () => {
    await home.writeDockerConfig({ auths: { 'one.io': { auth: encode('docker:1') }, 'two.io': { auth: encode('docker:2') } } })
    await home.write('.config/containers/auth.json', { auths: { 'one.io': { auth: encode('containers:1') } } })
    await home.write('run/containers/auth.json', { auths: { 'zero.io': { auth: encode('session:0') } } })
    Object.assign(home.env, { XDG_RUNTIME_DIR: join(home.path, 'run') })
    expect(await Promise.all(['zero.io', 'one.io', 'two.io'].map((host) => home.findCredential(host)))).toEqual(['session:0', 'containers:1', 'docker:2'])
    Object.assign(home.env, { DOCKER_CONFIG: dirname(await home.write('elsewhere/config.json', { auths: { 'one.io': { auth: encode('elsewhere:1') } } })) })
    expect(await Promise.all(['one.io', 'two.io'].map((host) => home.findCredential(host)))).toEqual(['elsewhere:1', undefined])
    Object.assign(home.env, { REGISTRY_AUTH_FILE: await home.write('only.json', { auths: { 'two.io': { auth: encode('only:2') } } }) })
    expect(await Promise.all(['one.io', 'two.io'].map((host) => home.findCredential(host)))).toEqual([undefined, 'only:2'])
  })

  it.each([
    ['{"auths": {"reg.io": {"auth": "c2VjcmV0OnNlY3JldA=="', 'is not a JSON object'],
    [`{"auths": {"reg.io": {"auth": "${encode(`u:${secret}`)}"}, "reg.io": {}}}`, 'is not a JSON object'],
    ['[]', 'is not a JSON object'],
    ['{"auths": []}', 'auths is not an object'],
    ['{"auths": {"reg.io": "x"}}', 'auths."reg.io" is not an object'],
    ['{"credHelpers": {"reg.io": 1}}', 'credHelpers."reg.io" is not a text'],
    ['{"credsStore": {}}', 'credsStore is not a text'],
  ])('refuses %s without repeating it', async (text, problem) => {
    const path = await home.writeDockerConfig(text)
    const failure = await failureOf(loadCredentials(home.env))
    expect(failure).toBeInstanceOf(InvalidConfiguration)
    expect(failure).toMatchObject({ path })
    expect(String(failure)).toContain(problem)
    expect(inspect(failure, { depth: 10 })).not.toMatch(/c2VjcmV0|S3cr3t/u)
  })

  it.each([[`!!!${secret}`], [encode(secret)], [encode(`:${secret}`)], ['abc']])('refuses auth %s of the registry that is asked for, and of no other', async (auth) => {
    await home.writeDockerConfig({ auths: { 'bad.io': { auth }, 'good.io': { auth: encode('a:b') } } })
    expect(await home.findCredential('good.io')).toBe('a:b')
    const failure = await failureOf(home.findCredential('bad.io'))
    expect(failure).toMatchObject({ code: 'REGISTRY_INVALID_CONFIGURATION', key: 'auths."bad.io".auth' })
    expect(inspect(failure)).not.toContain(auth)
  })

  it('refuses a file that links to itself', async () => {
    await mkdir(join(home.path, '.docker'))
    await symlink('config.json', join(home.path, '.docker/config.json'))
    expect(await failureOf(loadCredentials(home.env))).toMatchObject({ code: 'REGISTRY_INVALID_CONFIGURATION', path: join(home.path, '.docker/config.json') })
  })

  it('reads through a link a file that others may read, as docker does', async () => {
    const path = await home.write('elsewhere.json', { auths: { 'reg.io': { auth: encode('a:b') } } })
    await chmod(path, 0o644)
    await mkdir(join(home.path, '.docker'))
    await symlink(path, join(home.path, '.docker/config.json'))
    expect(await home.findCredential('reg.io')).toBe('a:b')
  })

  it('finds one login or the other while a file is replaced, and no mixture', async () => {
    const content = (login: string): string => JSON.stringify({ auths: { 'reg.io': { auth: encode(login) }, filler: { auth: encode(`x:${login.repeat(20_000)}`) } } })
    await home.writeDockerConfig(content('old:1'))
    const state = { isDone: false }
    const replacing = (async () => {
      for (let turn = 0; !state.isDone; turn += 1) {
        const next = await home.write('.docker/config.json.new', content(turn % 2 === 0 ? 'new:2' : 'old:1'))
        await rename(next, join(home.path, '.docker/config.json'))
      }
    })()
    const found = new Set<unknown>()
    for (let turn = 0; turn < 200; turn += 1) found.add(await home.findCredential('reg.io'))
    state.isDone = true
    await replacing
    expect([...found].filter((login) => login !== 'old:1' && login !== 'new:2')).toEqual([])
  })

  it('refuses a file that is a folder', async () => {
    await mkdir(join(home.path, '.docker/config.json'), { recursive: true })
    expect(await failureOf(loadCredentials(home.env))).toMatchObject({ code: 'REGISTRY_INVALID_CONFIGURATION' })
  })
})

describe('Secret', () => {
  it('shows itself nowhere', () => {
    const credential = { kind: 'password', username: 'u', password: new Secret(secret) }
    expect([inspect(credential, { depth: 10, showHidden: true }), JSON.stringify(credential), String(credential.password), Object.values(credential.password)].join()).not.toContain(secret)
  })
})
