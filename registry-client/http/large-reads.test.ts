import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Agent, createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readLarge } from './large-reads.ts'

const bodies = [randomBytes(6 * 2 ** 20), randomBytes(6 * 2 ** 20)]
const server = createServer((request, response) => response.end(bodies[Number(request.url?.slice(1))]))
const agent = readLarge(new Agent({ keepAlive: true }))

beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})

afterAll(() => {
  agent.destroy()
  server.closeAllConnections()
  server.close()
})

async function open(body: number): Promise<IncomingMessage> {
  const { port } = server.address() as AddressInfo
  const [answer] = await once(get({ port, host: '127.0.0.1', path: `/${body}`, agent }), 'response') as [IncomingMessage]
  return answer
}

test('two bodies that come at once are read in pieces larger than Node reads, and neither gets bytes of the other', async () => {
  const answers = await Promise.all([open(0), open(1)])
  const read = await Promise.all(answers.map(async (answer) => {
    const hash = createHash('sha256')
    let largest = 0
    answer.on('data', (piece: Buffer) => {
      hash.update(piece)
      largest = Math.max(largest, piece.byteLength)
      answer.pause()
      // More gathers in the socket meanwhile.
      setTimeout(() => answer.resume(), 2)
    })
    await once(answer, 'end')
    return { digest: hash.digest('hex'), largest }
  }))
  expect(read.map(({ digest }) => digest)).toEqual(bodies.map((body) => createHash('sha256').update(body).digest('hex')))
  for (const { largest } of read) expect(largest).toBeGreaterThan(64 * 1024)
})

test('a reader that waits holds the sender up', async () => {
  const answer = await open(0)
  const { socket } = answer
  const before = socket.bytesRead
  await sleep(300)
  expect(socket.bytesRead - before).toBeLessThan(2 ** 20)
  answer.destroy()
})
