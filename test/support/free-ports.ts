import { createServer } from 'node:net'

/** Below those that Linux gives to connections and to listeners on port 0, which other tests open all the time. */
const [first, count] = [10_000, 20_000] as const

/** The first of so many ports in a row that nothing listens at, for a program that takes only a number. */
export async function findFreePorts(length: number): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const start = first + Math.floor(Math.random() * (count - length))
    const ports = Array.from({ length }, (_, index) => start + index)
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return start
  }
  throw new Error(`no ${length} ports in a row are free`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.on('error', () => { resolve(false) })
    server.listen(port, () => { server.close(() => { resolve(true) }) })
  })
}
