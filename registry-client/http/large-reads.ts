import type { Agent } from 'node:http'
import type { OnReadOpts } from 'node:net'

/** What it costs to hand a piece on is more than what reading it costs. */
const readBytes = 256 * 1024

/**
 * Lets the connections of an agent without TLS read at once what waits for them, all into one buffer. By itself Node reads 64 KiB at a time,
 * each into memory of its own that is garbage as soon as it is parsed. The parser copies bodies, before anything else is read.
 */
export function readLarge(agent: Agent): Agent {
  const connect = agent.createConnection.bind(agent)
  const buffer = Buffer.allocUnsafeSlow(readBytes)
  agent.createConnection = (options, created) => {
    const socket = connect(readingBy(options, {
      buffer,
      callback: (length, bytes) => {
        socket?.emit('data', bytes.subarray(0, length))
        return true
      },
    }), created)
    return socket
  }
  return agent
}

/** The agent passes all options on to `net.connect`. */
function readingBy<Options extends object>(options: Options, onread: OnReadOpts): Options {
  return { ...options, onread }
}
