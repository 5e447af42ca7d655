import { createSocket } from 'node:dgram'
import { isIPv6 } from 'node:net'

const everyMs = 200
const patienceMs = 10_000

/** Sends a datagram again and again until one comes back. */
export async function askByUdp(address: string, port: number, question: string): Promise<string> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
  const send = (): void => { socket.send(question, port, address) }
  const again = setInterval(send, everyMs)
  try {
    return await new Promise((resolve, reject) => {
      setTimeout(() => { reject(new Error(`no answer from ${address}, port ${port}`)) }, patienceMs).unref()
      socket.once('error', reject)
      socket.once('message', (bytes) => { resolve(bytes.toString('utf8')) })
      send()
    })
  } finally {
    clearInterval(again)
    socket.close()
  }
}
