import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import type { Server } from 'node:net'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SecretUnavailable } from '../errors.ts'
import { openAgentSocket } from './agent-socket.ts'

const folder = mkdtempSync(join(tmpdir(), 'tsbuild-agent-test-'))
const path = join(folder, 'agent')
let agent: Server
beforeAll(() => new Promise<void>((resolve) => {
  agent = createServer((client) => { client.on('data', (bytes) => client.end(`echo ${bytes.toString()}`)) })
  agent.listen(path, resolve)
}))
afterAll(() => {
  agent.close()
  rmSync(folder, { recursive: true })
})

const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, mode: 0o604 }

function ask(socket: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    const client = connect(socket, () => client.write('hello'))
    client.on('data', (bytes) => { said += bytes.toString() })
    client.on('close', () => { resolve(said) })
    client.on('error', reject)
  })
}

describe('the socket of an agent', () => {
  it('leads to the agent while it is open, with a mode of its own, and is gone afterwards', async () => {
    const socket = await openAgentSocket({ id: 'default', path }, owner)
    expect(statSync(socket.path).mode & 0o777).toBe(0o604)
    expect(await ask(socket.path)).toBe('echo hello')
    await socket[Symbol.asyncDispose]()
    expect(existsSync(socket.path)).toBe(false)
  })

  it('closes what is still connected when it is disposed of', async () => {
    const socket = await openAgentSocket({ id: 'default', path }, owner)
    const client = connect(socket.path)
    const closed = new Promise<void>((resolve) => { client.on('close', () => { resolve() }) })
    await new Promise<void>((resolve) => { client.on('connect', () => { resolve() }) })
    await socket[Symbol.asyncDispose]()
    await closed
  })

  it('is refused where no socket is', async () => {
    await expect(openAgentSocket({ id: 'default', path: folder }, owner)).rejects.toBeInstanceOf(SecretUnavailable)
  })
})
