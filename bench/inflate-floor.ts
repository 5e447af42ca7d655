/** node bench/inflate-floor.ts BLOB...: undoes gzip and hashes what comes out, all at the same time and nothing else: what a pull costs at least. */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { chooseGzipEngine } from '../storage/index.ts'
import { HashedFile } from '../storage/hashed-file.ts'

const inflater = chooseGzipEngine().engine.name

await Promise.all(process.argv.slice(2).map(async (path) => {
  const file = new HashedFile(await open('/dev/null', 'w'), { algorithm: 'sha256', inflater, heldBytes: 0, maxBytes: 2 ** 40 })
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) await file.add(chunk as Uint8Array)
  await file.finish()
  await file.close()
}))
