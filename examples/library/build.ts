/** Builds an image from a program: Dockerfile and files are in memory, progress comes as events, and a signal stops it. */
import { build } from 'tsbuild/builder'

const { id } = await build({
  context: { 'greeting.txt': 'hello from memory\n', 'bin/greet': { content: '#!/bin/sh\ncat /greeting.txt\n', mode: 0o755 } },
  dockerfile: { text: 'FROM busybox\nCOPY . /\nRUN greet | tee /greeted\nCMD ["greet"]\n' },
  names: ['example/library'],
  network: 'none',
}, {
  signal: AbortSignal.timeout(60_000),
  onEvent: (event) => {
    if (event.type === 'node-finished') console.log(`${event.outcome} ${event.node.slice(7, 19)}`)
    if (event.type === 'node-output') process.stdout.write(event.bytes)
  },
})
console.log(id)
