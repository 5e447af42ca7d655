/**
 * node bench/inflate-floor.ts BLOB...: undoes gzip and hashes what comes out as a pull does, all at the same time and nothing else. Prints the seconds
 * that this takes, without those until Node had loaded what does it.
 */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { chooseGzipEngine } from '../storage/index.ts'
import { HashedFile } from '../storage/hashed-file.ts'

const inflater = chooseGzipEngine().engine.name

const started = process.hrtime.bigint()
await Promise.all(process.argv.slice(2).map(async (path) => {
  const file = new HashedFile(await open('/dev/null', 'w'), { algorithm: 'sha256', inflater, heldBytes: 0, maxBytes: 2 ** 40 })
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) await file.add(chunk as Uint8Array)
  await file.finish()
  await file.close()
}))
console.log(Number(process.hrtime.bigint() - started) / 1e9)
