import type { Socket } from 'node:net'
import { connect } from 'node:net'
import type { SshKey } from './ssh-key.ts'
import { FieldReader, field } from './ssh-wire.ts'

/** Answers messages to an agent. */
export interface Agent extends Disposable {
  /** @returns undefined when the agent is gone */
  answer(message: Buffer): Promise<Buffer | undefined>
}

/** @see draft-miller-ssh-agent "Protocol messages" */
const messages = { failure: 5, requestIdentities: 11, identitiesAnswer: 12, signRequest: 13, signResponse: 14 } as const
const failure = Buffer.from([messages.failure])
/** As OpenSSH's agent. */
const maxMessageBytes = 256 * 1024

/** An agent of these keys. */
export function createKeyAgent(keys: readonly SshKey[]): Agent {
  return {
    answer: (message) => Promise.resolve(message[0] === messages.requestIdentities ? listKeys(keys) : signWith(keys, message)),
    [Symbol.dispose]: () => undefined,
  }
}

function listKeys(keys: readonly SshKey[]): Buffer {
  const count = Buffer.alloc(4)
  count.writeUInt32BE(keys.length)
  return Buffer.concat([Buffer.from([messages.identitiesAnswer]), count, ...keys.flatMap(({ publicBlob, comment }) => [field(publicBlob), field(comment)])])
}

function signWith(keys: readonly SshKey[], message: Buffer): Buffer {
  try {
    const fields = new FieldReader(message.subarray(1))
    const [blob, data, flags] = [fields.bytes(), fields.bytes(), fields.uint32()]
    const key = keys.find(({ publicBlob }) => publicBlob.equals(blob))
    return key === undefined ? failure : Buffer.concat([Buffer.from([messages.signResponse]), field(key.sign(data, flags))])
  } catch (error) {
    if (error instanceof RangeError) return failure
    throw error
  }
}

/** The user's own agent. */
export function connectAgent(path: string): Agent {
  const socket = connect(path)
  // Reading replies meets the error too, but nobody may be asking yet when it happens.
  socket.on('error', () => { socket.destroy() })
  const replies = readMessages(socket)
  return {
    answer: async (message) => {
      socket.write(field(message))
      const { value, done } = await replies.next()
      return done === true ? undefined : value
    },
    [Symbol.dispose]: () => { socket.destroy() },
  }
}

/**
 * Lets a step ask the agent for keys and signatures, and nothing else: to add, remove or lock keys is refused as by
 * BuildKit. Ends with the step's side, and with the first message that a lost agent leaves unanswered.
 */
export async function serveAgent(client: Socket, agent: Agent): Promise<void> {
  try {
    for await (const message of readMessages(client)) {
      const isAllowed = message[0] === messages.requestIdentities || message[0] === messages.signRequest
      const answer = isAllowed ? await agent.answer(message) : failure
      if (answer === undefined) return
      client.write(field(answer))
    }
  } finally {
    agent[Symbol.dispose]()
    client.destroy()
  }
}

async function* readMessages(socket: Socket): AsyncGenerator<Buffer, void, undefined> {
  let pending = Buffer.alloc(0)
  for await (const chunk of socket) {
    pending = Buffer.concat([pending, chunk as Buffer])
    while (pending.length >= 4 && pending.length >= 4 + pending.readUInt32BE(0)) {
      const end = 4 + pending.readUInt32BE(0)
      yield pending.subarray(4, end)
      pending = pending.subarray(end)
    }
    if (pending.length > 4 + maxMessageBytes) return
  }
}
