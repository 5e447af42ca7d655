import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import type { Server } from 'node:net'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SecretUnavailable } from './errors.ts'
import { openAgentSocket } from './agent-socket.ts'
import { field } from './ssh-wire.ts'

const folder = mkdtempSync(join(tmpdir(), 'tsbuild-agent-test-'))
const path = join(folder, 'agent')
let agent: Server
beforeAll(() => new Promise<void>((resolve) => {
  agent = createServer((client) => { client.on('data', (bytes) => client.write(field(`echo ${bytes.subarray(4).toString('hex')}`))) })
  agent.listen(path, resolve)
}))
afterAll(() => {
  agent.close()
  rmSync(folder, { recursive: true })
})

const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, mode: 0o604 }

/** Sends messages one after the other. @returns their answers */
function ask(socket: string, ...messages: readonly number[][]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const answers: string[] = []
    const client = connect(socket, () => client.write(Buffer.concat(messages.map((message) => field(Buffer.from(message))))))
    client.on('data', (bytes: Buffer) => {
      for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at)) answers.push(bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at)).toString('latin1'))
      if (answers.length === messages.length) client.end()
    })
    client.on('close', () => { resolve(answers) })
    client.on('error', reject)
  })
}

describe('the socket of an agent', () => {
  it('leads to the agent while it is open, with a mode of its own, and is gone afterwards', async () => {
    const socket = await openAgentSocket({ id: 'default', paths: [path] }, owner)
    expect(statSync(socket.path).mode & 0o777).toBe(0o604)
    expect(await ask(socket.path, [11], [13, 7])).toEqual(['echo 0b', 'echo 0d07'])
    await socket[Symbol.asyncDispose]()
    expect(existsSync(socket.path)).toBe(false)
  })

  it('lets keys be listed and used, and neither added, removed nor locked', async () => {
    await using socket = await openAgentSocket({ id: 'default', paths: [path] }, owner)
    const refused = [17, 18, 19, 20, 22, 23, 25, 27, 0]
    expect(await ask(socket.path, ...refused.map((type) => [type, 1]))).toEqual(refused.map(() => '\u0005'))
  })

  it('closes what is still connected when it is disposed of', async () => {
    const socket = await openAgentSocket({ id: 'default', paths: [path] }, owner)
    const client = connect(socket.path)
    const closed = new Promise<void>((resolve) => { client.on('close', () => { resolve() }) })
    await new Promise<void>((resolve) => { client.on('connect', () => { resolve() }) })
    await socket[Symbol.asyncDispose]()
    await closed
  })

  it('closes the connections that a lost agent leaves unanswered, asked or not', async () => {
    const gone = join(folder, 'gone')
    const lost = createServer((client) => { client.destroy() })
    await new Promise<void>((resolve) => { lost.listen(gone, resolve) })
    await using socket = await openAgentSocket({ id: 'default', paths: [gone] }, owner)
    expect(await ask(socket.path, [11])).toEqual([])
    await new Promise((resolve) => lost.close(resolve))
    const silentClient = connect(socket.path)
    await new Promise<void>((resolve) => { silentClient.on('connect', resolve) })
    expect(await ask(socket.path, [11])).toEqual([])
    silentClient.destroy()
  })

  it('is refused where no socket is', async () => {
    await expect(openAgentSocket({ id: 'default', paths: [folder] }, owner)).rejects.toBeInstanceOf(SecretUnavailable)
    await expect(openAgentSocket({ id: 'default', paths: [path, path] }, owner)).rejects.toBeInstanceOf(SecretUnavailable)
  })
})
