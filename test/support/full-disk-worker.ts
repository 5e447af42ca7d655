/** Runs in a mount namespace of its own, on a small filesystem: fills a store, and makes room again. `full-disk-worker.ts ROOT bytes|inodes` */
import { closeSync, openSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno, TsbuildError } from '../../core/errors.ts'
import type { Store } from '../../storage/index.ts'
import { fsck, gc, openStore } from '../../storage/index.ts'
import { stream, task } from './streams.ts'
import { archive, file } from './tar-forge.ts'

const [, , folder = '', resource = ''] = process.argv
const root = join(folder, 'store')

async function fill(store: Store): Promise<unknown> {
  for (let round = 0; ; round += 1) {
    const entries = resource === 'bytes' ? [file(`${round}`, 'x'.repeat(700_000))] : Array.from({ length: 60 }, (_, index) => file(`${round}-${index}`, ''))
    try {
      await store.layers.apply(undefined, stream(archive(...entries)), undefined, task)
      await store.layers.sync(task)
    } catch (error) {
      return error
    }
  }
}

/** Takes what is left, to the last byte and inode. */
function exhaust(): void {
  for (let index = 0; ; index += 1) {
    try {
      const fd = openSync(join(folder, `rest-${index}`), 'w')
      while (resource === 'bytes') writeSync(fd, Buffer.alloc(4096, 'x'))
      closeSync(fd)
    } catch (error) {
      if (!isErrno(error, 'ENOSPC')) throw error
      return
    }
  }
}

const store = await openStore(root)
const failure = await fill(store)
const described = failure instanceof TsbuildError ? { code: failure.code, resource: 'resource' in failure ? failure.resource : undefined } : String(failure)
await store[Symbol.asyncDispose]()
exhaust()
const { bavail, ffree } = statfsSync(folder)
const collector = await openStore(root, { mayUseReserve: true })
const report = await gc(collector, task, { dryRun: false })
const { findings } = await fsck(collector, task)
await collector[Symbol.asyncDispose]()
process.stdout.write(JSON.stringify({ failure: described, left: resource === 'bytes' ? bavail : ffree, report, findings, free: statfsSync(folder) }))
