import { execFile, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { useCommand } from '../support/command.ts'
import type { DockerRegistry } from '../support/docker-registry.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'

const execute = promisify(execFile)
const { folder, run } = useCommand('login')
const password = 'pass:word of-the-test'
const config = join(folder, 'config.json')
let registry: DockerRegistry

beforeAll(async () => {
  const path = join(folder, 'htpasswd')
  const { stdout } = await execute('htpasswd', ['-Bbn', 'user', password])
  writeFileSync(path, stdout)
  registry = await startDockerRegistry({ directory: join(folder, 'registry'), auth: { kind: 'htpasswd', path } })
})
afterAll(async () => { await registry[Symbol.asyncDispose]() })

interface Outcome { readonly exitCode: number | null; readonly stdout: string; readonly stderr: string }

/** The command with something on standard input, and with more on the PATH. */
function login(input: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Outcome {
  const command = join(import.meta.dirname, '..', '..', 'bin', 'tsbuild.cjs')
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], { input, encoding: 'utf8', env: { ...process.env, DOCKER_CONFIG: folder, ...env } })
  return { exitCode: status, stdout, stderr }
}

describe('login', () => {
  it('takes the password from standard input, asks the registry, and keeps it for us and for skopeo', () => {
    const outcome = login(`${password}\n`, ['login', '-u', 'user', '--password-stdin', registry.host])
    expect(outcome).toMatchObject({ exitCode: 0, stdout: `logged in to ${registry.host} as user\n`, stderr: expect.stringContaining(config) as string })
    expect(statSync(config).mode & 0o777).toBe(0o600)
    expect(run('tags', `${registry.host}/none`)).toMatchObject({ exitCode: 3 })
    const skopeo = spawnSync('skopeo', ['list-tags', '--tls-verify=false', `docker://${registry.host}/none`], { encoding: 'utf8', env: { ...process.env, REGISTRY_AUTH_FILE: config } })
    expect(skopeo.stderr).not.toContain('unauthorized')
    expect(run('logout', registry.host)).toMatchObject({ exitCode: 0, stdout: `logged out of ${registry.host}\n` })
    expect(readFileSync(config, 'utf8')).not.toContain(registry.host)
    expect(run('logout', registry.host)).toMatchObject({ exitCode: 0, stdout: `was not logged in to ${registry.host}\n` })
    expect(run('tags', `${registry.host}/none`)).toMatchObject({ exitCode: 4, stderr: expect.stringContaining(`tsbuild login ${registry.host}`) as string })
  })

  it('keeps nothing that the registry does not take, and shows no password', () => {
    const outcome = login('wrong-secret', ['login', '-u', 'user', '--password-stdin', registry.host])
    expect(outcome.exitCode).toBe(4)
    expect(outcome.stdout + outcome.stderr).not.toContain('wrong-secret')
    expect(outcome.stderr).toContain(registry.host)
    expect(existsSync(config) ? readFileSync(config, 'utf8') : '').not.toContain(registry.host)
  })

  it('hands the password to the helper that is configured', () => {
    const bin = join(folder, 'bin')
    mkdirSync(bin, { recursive: true })
    writeFileSync(join(bin, 'docker-credential-kept'), `#!/bin/sh\nread -r line || true\ncase $1 in\nstore) printf '%s' "$line" > ${folder}/kept;;\nget) cat ${folder}/kept;;\nerase) rm ${folder}/kept;;\nesac\n`)
    chmodSync(join(bin, 'docker-credential-kept'), 0o755)
    writeFileSync(config, JSON.stringify({ credsStore: 'kept' }))
    const env = { PATH: `${bin}:${process.env['PATH'] ?? ''}` }
    expect(login(password, ['login', '-u', 'user', '--password-stdin', registry.host], env)).toMatchObject({ exitCode: 0, stderr: '' })
    expect(readFileSync(config, 'utf8')).not.toContain(Buffer.from(`user:${password}`).toString('base64'))
    expect(JSON.parse(readFileSync(join(folder, 'kept'), 'utf8'))).toEqual({ ServerURL: registry.host, Username: 'user', Secret: password })
    expect(login('', ['tags', `${registry.host}/none`], env)).toMatchObject({ exitCode: 3 })
    expect(login('', ['logout', registry.host], env)).toMatchObject({ exitCode: 0 })
    expect(existsSync(join(folder, 'kept'))).toBe(false)
  })

  it.each([
    [['--password-stdin'], /needs --username/u],
    [['-u', 'a', '-p', 'b', '--password-stdin'], /exclude/u],
    [['-u', 'a'], /no terminal/u],
    [['-u', 'a:b', '--password-stdin'], /colon/u],
    [['-u', 'a', '--password-stdin'], /empty/u],
  ])('says what is missing: %s', (args, pattern) => {
    expect(login('', ['login', ...args, registry.host])).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(pattern) as string })
  })

  it('is for whole registries', () => {
    for (const name of [`${registry.host}/team`, 'team', 'a b']) expect(login('x', ['login', '-u', 'a', '--password-stdin', name])).toMatchObject({ exitCode: 1 })
  })
})
