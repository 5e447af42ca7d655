/** A process that opens and closes the store of each line of its input, and answers with a line. */
import { createInterface } from 'node:readline'
import { openStore } from '../../storage/index.ts'

process.stdout.write('ready\n')
for await (const root of createInterface(process.stdin)) {
  await (await openStore(root))[Symbol.asyncDispose]()
  process.stdout.write('opened\n')
}
