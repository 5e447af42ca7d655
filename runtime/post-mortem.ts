import { closeSync, constants, openSync, readSync, statfsSync } from 'node:fs'
import { isErrno } from '../core/errors.ts'
import type { LimitCause } from './container-exit.ts'
import type { Rootfs } from './container-spec.ts'

/** What the kernel's log says about the last process that the OOM killer chose in a container; undefined where we may not read it. */
export function findVictim(containerId: string): LimitCause['victim'] {
  let victim: LimitCause['victim']
  for (const record of readKernelLog()) {
    const [, group, name, pid] = /oom-kill:.*?,oom_memcg=([^,]*).*?,task=([^,]*),pid=(\d+)/u.exec(record) ?? []
    if (group?.includes(containerId) === true && name !== undefined) victim = { name, pid: Number(pid) }
  }
  return victim
}

const longestRecord = 8192

function* readKernelLog(): Generator<string> {
  let fd: number
  try {
    fd = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EPERM', 'EACCES')) return
    throw error
  }
  try {
    const bytes = Buffer.alloc(longestRecord)
    for (;;) {
      const length = readRecord(fd, bytes)
      if (length === 'end') return
      if (length !== 'lost') yield bytes.toString('latin1', 0, length)
    }
  } finally {
    closeSync(fd)
  }
}

/** A record that was overwritten while we read is EPIPE; the next one is there. */
function readRecord(fd: number, bytes: Buffer): number | 'lost' | 'end' {
  try {
    return readSync(fd, bytes)
  } catch (error) {
    if (isErrno(error, 'EPIPE')) return 'lost'
    if (isErrno(error, 'EAGAIN', 'EPERM')) return 'end'
    throw error
  }
}

/** Less than a page of a program: nothing sensible can still be written. */
const leastFreeBytes = 64 * 1024

/** Whether the filesystem that the container wrote to is full. The error that a process sees is the same for bytes and inodes. */
export function findDiskShortage(rootfs: Rootfs): LimitCause | undefined {
  const folder = rootfs.kind === 'directory' ? rootfs.path : rootfs.upper?.upperdir
  if (folder === undefined) return undefined
  const { bsize, blocks, bfree, bavail, files, ffree } = statfsSync(folder)
  if (files > 0 && ffree === 0) return { limit: 'disk-inodes', configured: files, peak: files - ffree, victim: undefined }
  if (bavail * bsize < leastFreeBytes) return { limit: 'disk-bytes', configured: blocks * bsize, peak: (blocks - bfree) * bsize, victim: undefined }
  return undefined
}
