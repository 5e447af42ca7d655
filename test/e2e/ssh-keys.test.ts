import { execFile, execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { openAgentSocket } from '../../builder/mount/agent-socket.ts'
import { importBusybox, useCommand } from '../support/command.ts'

const command = useCommand('ssh-keys')
const { run, must, folder } = command
const owner = { uid: 0, gid: 0, mode: 0o600 }
const call = promisify(execFile)

const kinds = [['ed25519', []], ['rsa', ['-b', '2048']], ['ecdsa', ['-b', '256']], ['ecdsa', ['-b', '384']], ['ecdsa', ['-b', '521']], ['rsa', ['-b', '2048', '-m', 'PEM']], ['ecdsa', ['-b', '256', '-m', 'PKCS8']]] as const

function makeKey(name: string, ...options: readonly string[]): string {
  const path = join(folder, name)
  execFileSync('ssh-keygen', ['-q', '-N', '', '-C', `the ${name}`, '-f', path, ...options])
  return path
}

beforeAll(() => { importBusybox(command) })

describe('keys given with --ssh', () => {
  it.each(kinds)('of kind %s %j are listed and sign as OpenSSH expects', async (kind, options) => {
    const key = makeKey(`${kind}-${options.join('')}`, '-t', kind, ...options)
    await using socket = await openAgentSocket({ id: 'default', paths: [key] }, owner)
    const env = { ...process.env, SSH_AUTH_SOCK: socket.path }
    const [, blob = ''] = readFileSync(`${key}.pub`, 'utf8').split(' ')
    expect((await call('ssh-add', ['-L'], { env })).stdout).toContain(blob)
    const message = join(folder, 'message')
    writeFileSync(message, 'what is signed')
    writeFileSync(join(folder, 'allowed'), `me ${readFileSync(`${key}.pub`, 'utf8')}`)
    // With the public half alone ssh-keygen can only ask the agent.
    const lone = join(folder, 'lone.pub')
    writeFileSync(lone, readFileSync(`${key}.pub`))
    await call('ssh-keygen', ['-q', '-Y', 'sign', '-f', lone, '-n', 'file', message], { env })
    const verified = await call('sh', ['-c', `ssh-keygen -Y verify -f ${join(folder, 'allowed')} -I me -n file -s ${message}.sig <${message}; rm ${message}.sig`])
    expect(verified.stdout).toContain('Good "file" signature')
  })

  it('may be several, reach a step as an agent, and leave no trace', () => {
    const [one, other] = [makeKey('one', '-t', 'ed25519'), makeKey('other', '-t', 'ed25519')]
    const step = 'test -S $SSH_AUTH_SOCK && stat -c %a $SSH_AUTH_SOCK >/mode'
    const context = command.context('ssh', { Dockerfile: `FROM busybox\nRUN --mount=type=ssh,mode=0640 ${step}\nRUN test ! -e /run/buildkit && cat /mode\n` })
    const { stderr } = run('build', '--network', 'none', '--no-cache', '--progress', 'plain', '--ssh', `default=${one},${other}`, context)
    expect(stderr).toContain(' 640\n')
  })

  it('are looked at before any step runs, also where none asks for them', () => {
    const unused = command.context('unused', { Dockerfile: 'FROM busybox\nRUN true\n' })
    expect(run('build', '--ssh', 'id=/missing', unused)).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('"/missing" is neither the socket of an agent nor the file of a key') as string })
  })

  it('are refused when they have a passphrase, are none, or are of another kind, with what to do', () => {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'phrase', '-f', join(folder, 'locked')])
    writeFileSync(join(folder, 'none'), 'no key')
    writeFileSync(join(folder, 'cut'), readFileSync(join(folder, 'locked'), 'utf8').slice(0, 200))
    writeFileSync(join(folder, 'x25519'), generateKeyPairSync('x25519').privateKey.export({ type: 'pkcs8', format: 'pem' }))
    writeFileSync(join(folder, 'pem'), generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' }))
    const context = command.context('refused', { Dockerfile: 'FROM busybox\nRUN --mount=type=ssh true\n' })
    for (const [file, reason] of [['locked', 'passphrase'], ['pem', 'passphrase'], ['none', 'no private key'], ['cut', 'no private key'], ['x25519', 'ssh-add'], ['missing', 'neither the socket']] as const) {
      const { exitCode, stderr } = run('build', '--network', 'none', '--ssh', `default=${join(folder, file)}`, context)
      expect(exitCode, file).not.toBe(0)
      expect(stderr).toContain(reason)
      expect(stderr).toContain('--ssh default=')
    }
    expect(run('build', '--ssh', 'default=a,,b', context).exitCode).toBe(2)
    must('fsck')
  })
})
