import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { useHome } from '../test/support/home.ts'
import { failureOf, recordingTask } from '../test/support/task.ts'
import { loadCredentials } from './config/credentials.ts'
import { CredentialHelperFailed } from './errors.ts'

const secret = 'S3cr3t-of-the-test'
const task = recordingTask()
const home = useHome()
const encode = (text: string): string => Buffer.from(text).toString('base64')

describe('a credential helper', () => {
  it('is asked for its own registry, others by the default one, Docker Hub under its old name', async () => {
    await home.writeDockerConfig({ credHelpers: { 'reg.io': 'one' }, credsStore: 'all' })
    await home.writeHelper('one', `read server; echo "{\\"ServerURL\\":\\"$server\\",\\"Username\\":\\"one\\",\\"Secret\\":\\"for $server $1\\"}"`)
    await home.writeHelper('all', `read server; echo "{\\"Username\\":\\"all\\",\\"Secret\\":\\"for $server\\"}"`)
    expect(await home.findCredential('reg.io')).toBe('one:for reg.io get')
    expect(await home.findCredential('other.io')).toBe('all:for other.io')
    expect(await home.findCredential('docker.io')).toBe('all:for https://index.docker.io/v1/')
  })

  it('gives an identity token under the name <token>', async () => {
    await home.writeDockerConfig({ credsStore: 'all' })
    await home.writeHelper('all', `echo '{"Username":"<token>","Secret":"refresh"}'`)
    expect(await home.findCredential('reg.io')).toBe('identity-token refresh')
  })

  it('that knows nothing leaves the file to answer, for the same registry only', async () => {
    await home.writeDockerConfig({ credsStore: 'all', auths: { 'reg.io': { auth: encode('file:1') }, 'https://index.docker.io/v1/': { auth: encode('hub:1') } } })
    await home.writeHelper('all', 'echo "credentials not found in native keychain"; exit 1')
    expect(await home.findCredential('reg.io')).toBe('file:1')
    expect(await home.findCredential('other.io')).toBeUndefined()
  })

  it.each([
    ['fails', `echo ${secret}; echo ${secret} >&2; exit 1`, 'exit code 1'],
    ['prints what is not JSON', `echo '{"Secret":"${secret}'`, 'not a JSON object'],
    ['prints no secret', 'echo "{}"', 'no Username and Secret'],
    ['prints an empty secret', `echo '{"Username":"u","Secret":""}'`, 'empty Secret'],
    ['answers for another server', `echo '{"ServerURL":"https://reg.io.evil","Username":"u","Secret":"${secret}"}'`, 'another server'],
    ['floods', 'yes', 'more than 65536 bytes'],
  ])('that %s is an error, and neither its output nor another entry is used', async (_, script, problem) => {
    await home.writeDockerConfig({ credHelpers: { 'reg.io': 'bad' }, auths: { 'reg.io': { auth: encode('file:1') }, 'docker.io': { auth: encode('hub:1') } } })
    await home.writeHelper('bad', script)
    const failure = await failureOf(home.findCredential('reg.io'))
    expect(failure).toBeInstanceOf(CredentialHelperFailed)
    expect(failure).toMatchObject({ registry: 'reg.io', helper: 'docker-credential-bad' })
    expect(String(failure)).toContain(problem)
    expect(inspect(failure)).not.toContain(secret)
  })

  it('that hangs is ended with all it started', async () => {
    await home.writeDockerConfig({ credsStore: 'slow' })
    await home.writeHelper('slow', `sleep 1000 & echo $! > ${home.path}/pid; wait`)
    const source = await loadCredentials(home.env, { helperDeadlineMs: 3000 })
    expect(String(await failureOf(source.find({ registry: 'reg.io', repository: 'app' }, task)))).toContain('did not answer within 3 s')
    const grandchild = (await readFile(join(home.path, 'pid'), 'utf8')).trim()
    await expect.poll(() => isRunning(grandchild)).toBe(false)
  })

  it('is given up when the caller gives up', async () => {
    await home.writeDockerConfig({ credsStore: 'slow' })
    await home.writeHelper('slow', 'sleep 1000')
    const reason = new Error('enough')
    const controller = new AbortController()
    setTimeout(() => { controller.abort(reason) }, 50)
    const source = await loadCredentials(home.env)
    expect(await failureOf(source.find({ registry: 'reg.io', repository: 'app' }, recordingTask(controller.signal)))).toBe(reason)
  })

  it.each(['../evil', 'a b', '-x', 'x;id', '.', ''])('is not run under the name %j, though there is such a program', async (name) => {
    await home.writeDockerConfig({ credHelpers: { 'reg.io': name } })
    await home.writeHelper(name, `touch ${home.path}/ran; echo '{"Username":"u","Secret":"s"}'`)
    expect(await failureOf(home.findCredential('reg.io'))).toBeInstanceOf(CredentialHelperFailed)
    expect(await failureOf(stat(join(home.path, 'ran')))).toMatchObject({ code: 'ENOENT' })
  })

  it.each(['reg.io\nother.io', 'reg.io\r', 'reg.io\0'])('is not asked for the server %j', async (registry) => {
    await home.writeDockerConfig({ credsStore: 'all' })
    await home.writeHelper('all', `touch ${home.path}/ran; echo '{"Username":"u","Secret":"s"}'`)
    expect(await failureOf(home.findCredential(registry))).toBeInstanceOf(CredentialHelperFailed)
    expect(await failureOf(stat(join(home.path, 'ran')))).toMatchObject({ code: 'ENOENT' })
  })

  it('is found in absolute folders of PATH only', async () => {
    await home.writeDockerConfig({ credsStore: 'here' })
    await home.writeHelper('here', `echo '{"Username":"u","Secret":"s"}'`)
    const before = process.cwd()
    process.chdir(join(home.path, 'bin'))
    try {
      for (const path of ['', '.', ':.:', 'bin']) {
        Object.assign(home.env, { PATH: path })
        expect(String(await failureOf(home.findCredential('reg.io')))).toContain('not on the PATH')
      }
    } finally {
      process.chdir(before)
    }
  })
})

/** A process that ended may stay as a zombie where nobody reaps orphans. */
async function isRunning(pid: string): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z')
  return status.split(') ')[1]?.startsWith('Z') !== true
}
