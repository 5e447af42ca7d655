import { mkdir, readdir, readFile, stat, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { useHome } from '../../test/support/home.ts'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import { CredentialHelperFailed, InvalidConfiguration } from '../errors.ts'
import { eraseCredentials, saveCredentials } from './login.ts'
import { Secret } from './secret.ts'

const secret = 'S3cr3t-of-the-test'
const task = recordingTask()
const home = useHome()
const encode = (text: string): string => Buffer.from(text).toString('base64')

describe('saveCredentials', () => {
  const login = { registry: 'reg.io', username: 'user', password: new Secret(secret) }
  const config = async (): Promise<unknown> => JSON.parse(await readFile(join(home.path, '.docker/config.json'), 'utf8'))

  it('makes a file that only its owner can read and that loadCredentials reads', async () => {
    expect(await saveCredentials(home.env, login, task)).toEqual({ kind: 'file', path: join(home.path, '.docker/config.json') })
    expect((await stat(join(home.path, '.docker/config.json'))).mode & 0o777).toBe(0o600)
    expect(await home.findCredential('reg.io')).toBe(`user:${secret}`)
  })

  it('keeps whatever else the file says, in its order', async () => {
    await home.writeDockerConfig({ psFormat: 'x', auths: { 'a.io': { auth: 'YTpi', email: 'me' }, 'https://reg.io/v2/': { auth: 'b2xkOm9sZA==' } }, proxies: { default: { noProxy: '1' } } })
    await saveCredentials(home.env, login, task)
    expect(await config()).toEqual({ psFormat: 'x', auths: { 'a.io': { auth: 'YTpi', email: 'me' }, 'reg.io': { auth: encode(`user:${secret}`) } }, proxies: { default: { noProxy: '1' } } })
    expect(Object.keys(await config() as object)).toEqual(['psFormat', 'auths', 'proxies'])
  })

  it('writes through a link and leaves no other file behind', async () => {
    const real = await home.write('dotfiles/config.json', '{}')
    await mkdir(join(home.path, '.docker'))
    await symlink(real, join(home.path, '.docker/config.json'))
    await saveCredentials(home.env, { ...login, registry: 'docker.io' }, task)
    expect(JSON.parse(await readFile(real, 'utf8'))).toEqual({ auths: { 'https://index.docker.io/v1/': { auth: encode(`user:${secret}`) } } })
    expect(await readdir(join(home.path, 'dotfiles'))).toEqual(['config.json'])
  })

  it('hands the login to the helper and notes only that there is one', async () => {
    await home.writeDockerConfig({ credHelpers: { 'reg.io': 'keep' }, auths: { 'reg.io': { auth: encode('old:old') } } })
    await home.writeHelper('keep', `cat > ${home.path}/$1`)
    expect(await saveCredentials(home.env, login, task)).toEqual({ kind: 'helper', name: 'keep' })
    expect(JSON.parse(await readFile(join(home.path, 'store'), 'utf8'))).toEqual({ ServerURL: 'reg.io', Username: 'user', Secret: secret })
    expect(await config()).toMatchObject({ auths: { 'reg.io': {} } })
    expect(JSON.stringify(await config())).not.toContain(encode('old:old'))
  })

  it('hands the login to the helper that is asked before a file that knows the registry', async () => {
    const podmans = await home.write('.config/containers/auth.json', { auths: { 'reg.io': { auth: encode('old:old') } } })
    Object.assign(home.env, { DOCKER_CONFIG: dirname(await home.write('elsewhere/config.json', { credsStore: 'keep' })) })
    await home.writeHelper('keep', `cat > ${home.path}/$1`)
    expect(await saveCredentials(home.env, login, task)).toEqual({ kind: 'helper', name: 'keep' })
    expect(await readFile(podmans, 'utf8')).not.toContain(encode(`user:${secret}`))
  })

  it('changes nothing when the helper fails', async () => {
    await home.writeDockerConfig({ credsStore: 'bad' })
    await home.writeHelper('bad', 'exit 3')
    expect(await failureOf(saveCredentials(home.env, login, task))).toBeInstanceOf(CredentialHelperFailed)
    expect(await config()).toEqual({ credsStore: 'bad' })
  })

  it('replaces the login of a file that is searched before, which would be used in its place', async () => {
    const podmans = await home.write('.config/containers/auth.json', { auths: { 'reg.io': { auth: encode('old:old') }, 'other.io': { auth: encode('a:b') } } })
    await home.writeDockerConfig({ auths: { 'other.io': { auth: encode('c:d') } } })
    expect(await saveCredentials(home.env, login, task)).toEqual({ kind: 'file', path: podmans })
    expect(await home.findCredential('reg.io')).toBe(`user:${secret}`)
    expect(JSON.parse(await readFile(podmans, 'utf8'))).toEqual({ auths: { 'reg.io': { auth: encode(`user:${secret}`) }, 'other.io': { auth: encode('a:b') } } })
    expect(await config()).toEqual({ auths: { 'other.io': { auth: encode('c:d') } } })
  })

  it('does not touch a file it cannot read', async () => {
    await home.writeDockerConfig('{"auths": ')
    expect(await failureOf(saveCredentials(home.env, login, task))).toBeInstanceOf(InvalidConfiguration)
    expect(await readFile(join(home.path, '.docker/config.json'), 'utf8')).toBe('{"auths": ')
  })
})

describe('eraseCredentials', () => {
  it('takes every spelling of the registry out and leaves the rest', async () => {
    await home.writeDockerConfig({ auths: { 'reg.io': { auth: 'YTpi' }, 'https://reg.io/v1/': { auth: 'YTpi' }, 'reg.io/team': { auth: 'YTpi' }, 'other.io': { auth: 'YTpi' } } })
    expect(await eraseCredentials(home.env, 'reg.io', task)).toBe(true)
    expect(JSON.parse(await readFile(join(home.path, '.docker/config.json'), 'utf8'))).toEqual({ auths: { 'reg.io/team': { auth: 'YTpi' }, 'other.io': { auth: 'YTpi' } } })
    expect(await eraseCredentials(home.env, 'reg.io', task)).toBe(false)
  })

  it('forgets the login in every file that is searched', async () => {
    await home.write('.config/containers/auth.json', { auths: { 'reg.io': { auth: encode('a:b') }, 'other.io': { auth: encode('c:d') } } })
    await home.writeDockerConfig({ auths: { 'https://reg.io': { auth: encode('e:f') } } })
    expect(await eraseCredentials(home.env, 'reg.io', task)).toBe(true)
    expect(await Promise.all(['reg.io', 'other.io'].map((host) => home.findCredential(host)))).toEqual([undefined, 'c:d'])
    expect(await eraseCredentials(home.env, 'reg.io', task)).toBe(false)
  })

  it('tells the helper', async () => {
    await home.writeDockerConfig({ credsStore: 'keep', auths: { 'reg.io': {} } })
    await home.writeHelper('keep', `cat > ${home.path}/$1`)
    expect(await eraseCredentials(home.env, 'reg.io', task)).toBe(true)
    expect(await readFile(join(home.path, 'erase'), 'utf8')).toBe('reg.io')
  })
})
