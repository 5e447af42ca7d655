import type { LimitCause, NotExecuted } from '../../runtime/index.ts'
import { formatBytes, formatSeconds } from './format.ts'

/** Why a limit ended a command, and what to do. */
export function describeLimit({ limit, configured, peak, victim }: LimitCause): string {
  switch (limit) {
    case 'memory': return `it ran out of memory: limit ${formatBytes(configured)}${peak === undefined ? '' : `, peak ${formatBytes(peak)}`}${victim === undefined ? '' : `, killed ${victim.name}`}; raise --memory, or make the command use less`
    case 'pids': return `it ran out of processes: limit ${configured}${peak === undefined ? '' : `, peak ${peak}`}; raise --pids-limit, or start fewer at a time`
    case 'disk-bytes': return `the filesystem of its root is full: ${formatBytes(configured)}${peak === undefined ? '' : `, ${formatBytes(peak)} in use`}; run "tsbuild gc", or give the store more room`
    case 'disk-inodes': return `the filesystem of its root has no inode left: ${configured}; run "tsbuild gc", or use a filesystem with more inodes`
    case 'timeout': return `it ran out of time: limit ${formatSeconds(configured)}; raise the timeout, or make the command faster`
  }
}

/** Why a command could not be started. */
export function describeNotExecuted({ reason, file, errnoName }: NotExecuted): string {
  switch (reason) {
    case 'not-found': return `command "${file}" was not found in the image; is it spelt right, and is it in PATH?`
    case 'interpreter-not-found': return `command "${file}" is there, but the interpreter or loader it names is not; does its first line name a program the image has, and was it built for this image's C library?`
    case 'not-executable': return `"${file}" cannot be executed; is it a file, and does it have the x permission? (COPY --chmod=755)`
    case 'wrong-format': return `"${file}" is no program for this machine; was it built for another platform, or does a script lack its #! line?`
    case 'arguments-too-long': return `the arguments and environment of "${file}" are larger than the kernel passes on`
    case 'refused': return `"${file}" could not be executed: ${errnoName}`
  }
}
