import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digestAsDiffId, sha256 } from '../../oci/digest.ts'
import { writeIndex } from '../../storage/erofs/write-index.ts'
import { task } from '../support/streams.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const folder = useTemporaryFolder('index-confinement')

/** The helper of this process that writes an index. */
function findHelper(): string | undefined {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ').filter((pid) => pid !== '')
  return children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('index'))
}

const statusOf = (pid: string, field: string): string => new RegExp(`^${field}:\\s*(\\S+)$`, 'mu').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? ''

describe('who reads an archive to write its index', () => {
  it('has nothing of the host in reach but its descriptors, and may only read', async () => {
    const tar = join(folder, 'tar')
    execFileSync('mkfifo', [tar])
    const writing = openSync(tar, constants.O_RDWR)
    const controller = new AbortController()
    try {
      const ended = writeIndex({ root: folder, tar, index: join(folder, 'index'), diffId: digestAsDiffId(sha256('')), makesWhiteouts: false, maxBytes: 0, maxSeconds: 60, lowers: [] }, { ...task, signal: controller.signal })
      ended.catch(() => undefined)
      let pid: string | undefined
      await expect.poll(() => { pid = findHelper(); return pid !== undefined && readdirSync(`/proc/${pid}/root`).length }).toBe(0)
      await expect.poll(() => statusOf(pid ?? '', 'NoNewPrivs')).toBe('1')
      // CAP_DAC_READ_SEARCH and CAP_SYS_ADMIN, which trusted.* attributes ask for.
      for (const set of ['CapEff', 'CapPrm', 'CapBnd']) expect(statusOf(pid ?? '', set)).toBe('0000000000200004')
      controller.abort(new Error('seen enough'))
      await expect(ended).rejects.toThrow('seen enough')
    } finally {
      closeSync(writing)
    }
  })
})
