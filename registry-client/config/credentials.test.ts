import { chmod, mkdir, mkdtemp, readFile, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import { CredentialHelperFailed, InvalidConfiguration } from '../errors.ts'
import type { Credential } from './credential-file.ts'
import { loadCredentials } from './credentials.ts'
import { eraseCredentials, saveCredentials } from './login.ts'
import { Secret } from './secret.ts'

const secret = 'S3cr3t-of-the-test'
const task = recordingTask()
let home: string
let env: { HOME: string; PATH: string }

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'credentials-'))
  env = { HOME: home, PATH: `${join(home, 'bin')}:${process.env['PATH'] ?? ''}` }
})
afterEach(async () => { await rm(home, { recursive: true }) })

async function write(path: string, content: unknown): Promise<string> {
  const full = join(home, path)
  await mkdir(dirname(full), { recursive: true })
  await writeFile(full, typeof content === 'string' ? content : JSON.stringify(content))
  return full
}

const dockerConfig = (content: unknown): Promise<string> => write('.docker/config.json', content)
const encode = (text: string): string => Buffer.from(text).toString('base64')

async function find(registry: string, repository = 'library/app'): Promise<unknown> {
  return reveal(await (await loadCredentials(env)).find({ registry, repository }, task))
}

function reveal(credential: Credential | undefined): unknown {
  if (credential === undefined) return undefined
  return credential.kind === 'password' ? `${credential.username}:${credential.password.reveal()}` : `${credential.kind} ${credential.token.reveal()}`
}

/** A helper program that is a shell script. */
async function helper(name: string, script: string): Promise<void> {
  await chmod(await write(`bin/docker-credential-${name}`, `#!/bin/sh\n${script}\n`), 0o755)
}

describe('loadCredentials', () => {
  it('finds no credentials where there is no file', async () => {
    expect(await find('reg.io')).toBeUndefined()
  })

  it("reads Docker's file, with colons in the password, identity tokens and plain fields", async () => {
    await dockerConfig({ auths: {
      'reg.io': { auth: encode('user:pass:word') },
      'https://token.io/v2/': { auth: encode('x:y'), identitytoken: 'identity' },
      'plain.io': { username: 'u', password: 'p' },
      'given.io': { registrytoken: 'given' },
      'kept.io': {},
    } })
    expect(await find('reg.io')).toBe('user:pass:word')
    expect(await find('token.io')).toBe('identity-token identity')
    expect(await find('plain.io')).toBe('u:p')
    expect(await find('given.io')).toBe('registry-token given')
    expect(await find('kept.io')).toBeUndefined()
  })

  it.each(['https://index.docker.io/v1/', 'index.docker.io', 'docker.io', 'registry-1.docker.io'])('knows Docker Hub as %s', async (key) => {
    await dockerConfig({ auths: { [key]: { auth: encode('hub:pw') } } })
    expect(await find('docker.io')).toBe('hub:pw')
  })

  it('takes a host with its port for what it is and nothing near it', async () => {
    await dockerConfig({ auths: { 'reg.io': { auth: encode('a:b') }, 'reg.io:5000': { auth: encode('c:d') }, 'https://other.io/path': { auth: encode('e:f') } } })
    expect(await Promise.all(['reg.io', 'reg.io:5000', 'reg.io:443', 'reg.io.evil', 'eg.io', 'evil-reg.io', 'index.docker.io.evil', 'docker.io', 'other.io'].map((host) => find(host))))
      .toEqual(['a:b', 'c:d', undefined, undefined, undefined, undefined, undefined, undefined, 'e:f'])
  })

  it('prefers the entry nearest to the repository', async () => {
    await write('.config/containers/auth.json', { auths: { 'reg.io/team/app': { auth: encode('app:1') }, 'reg.io/team': { auth: encode('team:1') }, 'reg.io': { auth: encode('reg:1') } } })
    expect(await find('reg.io', 'team/app')).toBe('app:1')
    expect(await find('reg.io', 'team/other')).toBe('team:1')
    expect(await find('reg.io', 'teams/app')).toBe('reg:1')
    expect(await find('reg.io', 'team/app/sub')).toBe('app:1')
  })

  it('searches the files in order and lets REGISTRY_AUTH_FILE stand alone', async () => {
    await dockerConfig({ auths: { 'one.io': { auth: encode('docker:1') }, 'two.io': { auth: encode('docker:2') } } })
    await write('.config/containers/auth.json', { auths: { 'one.io': { auth: encode('containers:1') } } })
    await write('run/containers/auth.json', { auths: { 'zero.io': { auth: encode('session:0') } } })
    Object.assign(env, { XDG_RUNTIME_DIR: join(home, 'run') })
    expect(await Promise.all(['zero.io', 'one.io', 'two.io'].map((host) => find(host)))).toEqual(['session:0', 'containers:1', 'docker:2'])
    Object.assign(env, { DOCKER_CONFIG: dirname(await write('elsewhere/config.json', { auths: { 'one.io': { auth: encode('elsewhere:1') } } })) })
    expect(await Promise.all(['one.io', 'two.io'].map((host) => find(host)))).toEqual(['elsewhere:1', undefined])
    Object.assign(env, { REGISTRY_AUTH_FILE: await write('only.json', { auths: { 'two.io': { auth: encode('only:2') } } }) })
    expect(await Promise.all(['one.io', 'two.io'].map((host) => find(host)))).toEqual([undefined, 'only:2'])
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
    const path = await dockerConfig(text)
    const failure = await failureOf(loadCredentials(env))
    expect(failure).toBeInstanceOf(InvalidConfiguration)
    expect(failure).toMatchObject({ path })
    expect(String(failure)).toContain(problem)
    expect(inspect(failure, { depth: 10 })).not.toMatch(/c2VjcmV0|S3cr3t/u)
  })

  it.each([[`!!!${secret}`], [encode(secret)], [encode(`:${secret}`)], ['abc']])('refuses auth %s of the registry that is asked for, and of no other', async (auth) => {
    await dockerConfig({ auths: { 'bad.io': { auth }, 'good.io': { auth: encode('a:b') } } })
    expect(await find('good.io')).toBe('a:b')
    const failure = await failureOf(find('bad.io'))
    expect(failure).toMatchObject({ code: 'REGISTRY_INVALID_CONFIGURATION', key: 'auths."bad.io".auth' })
    expect(inspect(failure)).not.toContain(auth)
  })

  it('refuses a file that links to itself', async () => {
    await mkdir(join(home, '.docker'))
    await symlink('config.json', join(home, '.docker/config.json'))
    expect(await failureOf(loadCredentials(env))).toMatchObject({ code: 'REGISTRY_INVALID_CONFIGURATION', path: join(home, '.docker/config.json') })
  })

  it('reads through a link a file that others may read, as docker does', async () => {
    const path = await write('elsewhere.json', { auths: { 'reg.io': { auth: encode('a:b') } } })
    await chmod(path, 0o644)
    await mkdir(join(home, '.docker'))
    await symlink(path, join(home, '.docker/config.json'))
    expect(await find('reg.io')).toBe('a:b')
  })

  it('finds one login or the other while a file is replaced, and no mixture', async () => {
    const content = (login: string): string => JSON.stringify({ auths: { 'reg.io': { auth: encode(login) }, filler: { auth: encode(`x:${login.repeat(20_000)}`) } } })
    await dockerConfig(content('old:1'))
    const state = { isDone: false }
    const replacing = (async () => {
      for (let turn = 0; !state.isDone; turn += 1) {
        const next = await write('.docker/config.json.new', content(turn % 2 === 0 ? 'new:2' : 'old:1'))
        await rename(next, join(home, '.docker/config.json'))
      }
    })()
    const found = new Set<unknown>()
    for (let turn = 0; turn < 200; turn += 1) found.add(await find('reg.io'))
    state.isDone = true
    await replacing
    expect([...found].filter((login) => login !== 'old:1' && login !== 'new:2')).toEqual([])
  })

  it('refuses a file that is a folder', async () => {
    await mkdir(join(home, '.docker/config.json'), { recursive: true })
    expect(await failureOf(loadCredentials(env))).toMatchObject({ code: 'REGISTRY_INVALID_CONFIGURATION' })
  })
})

describe('a credential helper', () => {
  it('is asked for its own registry, others by the default one, Docker Hub under its old name', async () => {
    await dockerConfig({ credHelpers: { 'reg.io': 'one' }, credsStore: 'all' })
    await helper('one', `read server; echo "{\\"ServerURL\\":\\"$server\\",\\"Username\\":\\"one\\",\\"Secret\\":\\"for $server $1\\"}"`)
    await helper('all', `read server; echo "{\\"Username\\":\\"all\\",\\"Secret\\":\\"for $server\\"}"`)
    expect(await find('reg.io')).toBe('one:for reg.io get')
    expect(await find('other.io')).toBe('all:for other.io')
    expect(await find('docker.io')).toBe('all:for https://index.docker.io/v1/')
  })

  it('gives an identity token under the name <token>', async () => {
    await dockerConfig({ credsStore: 'all' })
    await helper('all', `echo '{"Username":"<token>","Secret":"refresh"}'`)
    expect(await find('reg.io')).toBe('identity-token refresh')
  })

  it('that knows nothing leaves the file to answer, for the same registry only', async () => {
    await dockerConfig({ credsStore: 'all', auths: { 'reg.io': { auth: encode('file:1') }, 'https://index.docker.io/v1/': { auth: encode('hub:1') } } })
    await helper('all', 'echo "credentials not found in native keychain"; exit 1')
    expect(await find('reg.io')).toBe('file:1')
    expect(await find('other.io')).toBeUndefined()
  })

  it.each([
    ['fails', `echo ${secret}; echo ${secret} >&2; exit 1`, 'exit code 1'],
    ['prints what is not JSON', `echo '{"Secret":"${secret}'`, 'not a JSON object'],
    ['prints no secret', 'echo "{}"', 'no Username and Secret'],
    ['prints an empty secret', `echo '{"Username":"u","Secret":""}'`, 'empty Secret'],
    ['answers for another server', `echo '{"ServerURL":"https://reg.io.evil","Username":"u","Secret":"${secret}"}'`, 'another server'],
    ['floods', 'yes', 'more than 65536 bytes'],
  ])('that %s is an error, and neither its output nor another entry is used', async (_, script, problem) => {
    await dockerConfig({ credHelpers: { 'reg.io': 'bad' }, auths: { 'reg.io': { auth: encode('file:1') }, 'docker.io': { auth: encode('hub:1') } } })
    await helper('bad', script)
    const failure = await failureOf(find('reg.io'))
    expect(failure).toBeInstanceOf(CredentialHelperFailed)
    expect(failure).toMatchObject({ registry: 'reg.io', helper: 'docker-credential-bad' })
    expect(String(failure)).toContain(problem)
    expect(inspect(failure)).not.toContain(secret)
  })

  it('that hangs is ended with all it started', async () => {
    await dockerConfig({ credsStore: 'slow' })
    await helper('slow', `sleep 1000 & echo $! > ${home}/pid; wait`)
    const source = await loadCredentials(env, { helperDeadlineMs: 200 })
    expect(String(await failureOf(source.find({ registry: 'reg.io', repository: 'app' }, task)))).toContain('did not answer within 0.2 s')
    const grandchild = (await readFile(join(home, 'pid'), 'utf8')).trim()
    await expect.poll(() => isRunning(grandchild)).toBe(false)
  })

  it('is given up when the caller gives up', async () => {
    await dockerConfig({ credsStore: 'slow' })
    await helper('slow', 'sleep 1000')
    const reason = new Error('enough')
    const controller = new AbortController()
    setTimeout(() => { controller.abort(reason) }, 50)
    const source = await loadCredentials(env)
    expect(await failureOf(source.find({ registry: 'reg.io', repository: 'app' }, recordingTask(controller.signal)))).toBe(reason)
  })

  it.each(['../evil', 'a b', '-x', 'x;id', '.', ''])('is not run under the name %j, though there is such a program', async (name) => {
    await dockerConfig({ credHelpers: { 'reg.io': name } })
    await helper(name, `touch ${home}/ran; echo '{"Username":"u","Secret":"s"}'`)
    expect(await failureOf(find('reg.io'))).toBeInstanceOf(CredentialHelperFailed)
    expect(await failureOf(stat(join(home, 'ran')))).toMatchObject({ code: 'ENOENT' })
  })

  it.each(['reg.io\nother.io', 'reg.io\r', 'reg.io\0'])('is not asked for the server %j', async (registry) => {
    await dockerConfig({ credsStore: 'all' })
    await helper('all', `touch ${home}/ran; echo '{"Username":"u","Secret":"s"}'`)
    expect(await failureOf(find(registry))).toBeInstanceOf(CredentialHelperFailed)
    expect(await failureOf(stat(join(home, 'ran')))).toMatchObject({ code: 'ENOENT' })
  })

  it('is found in absolute folders of PATH only', async () => {
    await dockerConfig({ credsStore: 'here' })
    await helper('here', `echo '{"Username":"u","Secret":"s"}'`)
    const before = process.cwd()
    process.chdir(join(home, 'bin'))
    try {
      for (const path of ['', '.', ':.:', 'bin']) {
        Object.assign(env, { PATH: path })
        expect(String(await failureOf(find('reg.io')))).toContain('not on the PATH')
      }
    } finally {
      process.chdir(before)
    }
  })
})

describe('saveCredentials', () => {
  const login = { registry: 'reg.io', username: 'user', password: new Secret(secret) }
  const config = async (): Promise<unknown> => JSON.parse(await readFile(join(home, '.docker/config.json'), 'utf8'))

  it('makes a file that only its owner can read and that loadCredentials reads', async () => {
    expect(await saveCredentials(env, login, task)).toEqual({ kind: 'file', path: join(home, '.docker/config.json') })
    expect((await stat(join(home, '.docker/config.json'))).mode & 0o777).toBe(0o600)
    expect(await find('reg.io')).toBe(`user:${secret}`)
  })

  it('keeps whatever else the file says, in its order', async () => {
    await dockerConfig({ psFormat: 'x', auths: { 'a.io': { auth: 'YTpi', email: 'me' }, 'https://reg.io/v2/': { auth: 'b2xkOm9sZA==' } }, proxies: { default: { noProxy: '1' } } })
    await saveCredentials(env, login, task)
    expect(await config()).toEqual({ psFormat: 'x', auths: { 'a.io': { auth: 'YTpi', email: 'me' }, 'reg.io': { auth: encode(`user:${secret}`) } }, proxies: { default: { noProxy: '1' } } })
    expect(Object.keys(await config() as object)).toEqual(['psFormat', 'auths', 'proxies'])
  })

  it('writes through a link and leaves no other file behind', async () => {
    const real = await write('dotfiles/config.json', '{}')
    await mkdir(join(home, '.docker'))
    await symlink(real, join(home, '.docker/config.json'))
    await saveCredentials(env, { ...login, registry: 'docker.io' }, task)
    expect(JSON.parse(await readFile(real, 'utf8'))).toEqual({ auths: { 'https://index.docker.io/v1/': { auth: encode(`user:${secret}`) } } })
    expect(await readdir(join(home, 'dotfiles'))).toEqual(['config.json'])
  })

  it('hands the login to the helper and notes only that there is one', async () => {
    await dockerConfig({ credHelpers: { 'reg.io': 'keep' }, auths: { 'reg.io': { auth: encode('old:old') } } })
    await helper('keep', `cat > ${home}/$1`)
    expect(await saveCredentials(env, login, task)).toEqual({ kind: 'helper', name: 'keep' })
    expect(JSON.parse(await readFile(join(home, 'store'), 'utf8'))).toEqual({ ServerURL: 'reg.io', Username: 'user', Secret: secret })
    expect(await config()).toMatchObject({ auths: { 'reg.io': {} } })
    expect(JSON.stringify(await config())).not.toContain(encode('old:old'))
  })

  it('hands the login to the helper that is asked before a file that knows the registry', async () => {
    const podmans = await write('.config/containers/auth.json', { auths: { 'reg.io': { auth: encode('old:old') } } })
    Object.assign(env, { DOCKER_CONFIG: dirname(await write('elsewhere/config.json', { credsStore: 'keep' })) })
    await helper('keep', `cat > ${home}/$1`)
    expect(await saveCredentials(env, login, task)).toEqual({ kind: 'helper', name: 'keep' })
    expect(await readFile(podmans, 'utf8')).not.toContain(encode(`user:${secret}`))
  })

  it('changes nothing when the helper fails', async () => {
    await dockerConfig({ credsStore: 'bad' })
    await helper('bad', 'exit 3')
    expect(await failureOf(saveCredentials(env, login, task))).toBeInstanceOf(CredentialHelperFailed)
    expect(await config()).toEqual({ credsStore: 'bad' })
  })

  it('replaces the login of a file that is searched before, which would be used in its place', async () => {
    const podmans = await write('.config/containers/auth.json', { auths: { 'reg.io': { auth: encode('old:old') }, 'other.io': { auth: encode('a:b') } } })
    await dockerConfig({ auths: { 'other.io': { auth: encode('c:d') } } })
    expect(await saveCredentials(env, login, task)).toEqual({ kind: 'file', path: podmans })
    expect(await find('reg.io')).toBe(`user:${secret}`)
    expect(JSON.parse(await readFile(podmans, 'utf8'))).toEqual({ auths: { 'reg.io': { auth: encode(`user:${secret}`) }, 'other.io': { auth: encode('a:b') } } })
    expect(await config()).toEqual({ auths: { 'other.io': { auth: encode('c:d') } } })
  })

  it('does not touch a file it cannot read', async () => {
    await dockerConfig('{"auths": ')
    expect(await failureOf(saveCredentials(env, login, task))).toBeInstanceOf(InvalidConfiguration)
    expect(await readFile(join(home, '.docker/config.json'), 'utf8')).toBe('{"auths": ')
  })
})

describe('eraseCredentials', () => {
  it('takes every spelling of the registry out and leaves the rest', async () => {
    await dockerConfig({ auths: { 'reg.io': { auth: 'YTpi' }, 'https://reg.io/v1/': { auth: 'YTpi' }, 'reg.io/team': { auth: 'YTpi' }, 'other.io': { auth: 'YTpi' } } })
    expect(await eraseCredentials(env, 'reg.io', task)).toBe(true)
    expect(JSON.parse(await readFile(join(home, '.docker/config.json'), 'utf8'))).toEqual({ auths: { 'reg.io/team': { auth: 'YTpi' }, 'other.io': { auth: 'YTpi' } } })
    expect(await eraseCredentials(env, 'reg.io', task)).toBe(false)
  })

  it('forgets the login in every file that is searched', async () => {
    await write('.config/containers/auth.json', { auths: { 'reg.io': { auth: encode('a:b') }, 'other.io': { auth: encode('c:d') } } })
    await dockerConfig({ auths: { 'https://reg.io': { auth: encode('e:f') } } })
    expect(await eraseCredentials(env, 'reg.io', task)).toBe(true)
    expect(await Promise.all(['reg.io', 'other.io'].map((host) => find(host)))).toEqual([undefined, 'c:d'])
    expect(await eraseCredentials(env, 'reg.io', task)).toBe(false)
  })

  it('tells the helper', async () => {
    await dockerConfig({ credsStore: 'keep', auths: { 'reg.io': {} } })
    await helper('keep', `cat > ${home}/$1`)
    expect(await eraseCredentials(env, 'reg.io', task)).toBe(true)
    expect(await readFile(join(home, 'erase'), 'utf8')).toBe('reg.io')
  })
})

describe('Secret', () => {
  it('shows itself nowhere', () => {
    const credential = { kind: 'password', username: 'u', password: new Secret(secret) }
    expect([inspect(credential, { depth: 10, showHidden: true }), JSON.stringify(credential), String(credential.password), Object.values(credential.password)].join()).not.toContain(secret)
  })
})

/** A process that ended may stay as a zombie where nobody reaps orphans. */
async function isRunning(pid: string): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z')
  return status.split(') ')[1]?.startsWith('Z') !== true
}
