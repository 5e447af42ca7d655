import { closeSync, fstatSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { getAddon, helperPath } from './addon.ts'
import type { ReportedFailure } from './errors.ts'
import { HelperFailure } from './errors.ts'
import { WireReader } from './wire.ts'

/** What one run of the helper needs. */
export interface HelperRequest {
  /** Which of the helper's modes, see native/helper/main.c. */
  readonly mode: string
  /** Written with WireWriter. */
  readonly request: Uint8Array
  /** Descriptors 0, 1 and 2 of the helper; -1 is /dev/null. The caller closes its own copies. */
  readonly stdio: readonly [number, number, number]
  /** Descriptors 5, 6, … of the helper. */
  readonly fds?: readonly number[]
}

export interface HelperReport {
  readonly kind: number
  readonly payload: Uint8Array
}

export interface HelperExit {
  /** undefined when a signal ended it. */
  readonly exitCode: number | undefined
  readonly signal: NodeJS.Signals | undefined
}

export interface HelperProcess {
  readonly pid: number
  /** Settles when the helper and all that held its report pipe are gone and reaped. Rejects with the first failure reported. */
  readonly ended: Promise<HelperExit>
  kill(signal: NodeJS.Signals): void
}

const failureKind = 0
const stdioCount = 3

/**
 * Starts the helper. `onReport` gets every record but failures, in order; those end as HelperFailure in `ended`.
 * The helper dies with this process, whichever way that ends.
 */
export function startHelper(request: HelperRequest, onReport: (report: HelperReport) => void): HelperProcess {
  const addon = getAddon()
  const requestFd = addon.memoryFile(request.request, false)
  const [reportFd, helperReportFd] = addon.pipe(0)
  let pid: number
  try {
    const argv = ['tsbuild-helper', request.mode, String(process.pid), String(request.fds?.length ?? 0)]
    pid = addon.spawn(getProgram(), argv, [], [...request.stdio, requestFd, helperReportFd, ...(request.fds ?? [])])
  } catch (error) {
    closeSync(reportFd)
    throw error
  } finally {
    closeSync(requestFd)
    closeSync(helperReportFd)
  }
  let isOver = false
  const ended = collectReports(reportFd, onReport).then(async (failure) => {
    // From here on it may be reaped at any moment, and its number be another process's.
    isOver = true
    const exit = decodeStatus(await addon.waitProcess(pid))
    if (failure !== undefined) throw new HelperFailure(request.mode, failure)
    return exit
  })
  return { pid, ended, kill: (signal) => { if (!isOver) process.kill(pid, signal) } }
}

let program: { readonly fd: number; readonly ctimeMs: number } | undefined

/**
 * The helper runs from a sealed copy in memory, made once a process: a container's process may get hold of the program
 * that its init runs (`/proc/1/exe`, `#!/proc/self/exe`), and must not be able to change what later runs as root. Seals
 * do not cover owner and mode, so a copy that somebody has touched is left behind.
 */
function getProgram(): string {
  if (program !== undefined && fstatSync(program.fd).ctimeMs !== program.ctimeMs) {
    closeSync(program.fd)
    program = undefined
  }
  if (program === undefined) {
    const fd = getAddon().memoryFile(readFileSync(helperPath), true)
    program = { fd, ctimeMs: fstatSync(fd).ctimeMs }
  }
  return `/proc/self/fd/${program.fd}`
}

/** Runs a mode that needs nothing but its request and answers by reports alone. */
export async function callHelper(mode: string, request: Uint8Array, onReport: (report: HelperReport) => void): Promise<HelperExit> {
  return startHelper({ mode, request, stdio: [-1, -1, -1] }, onReport).ended
}

export const firstExtraFd: number = stdioCount + 2

/** Reads what the helper tells through a pipe, which is closed at the end, and gives the first failure. */
export function collectReports(fd: number, onReport: (report: HelperReport) => void): Promise<ReportedFailure | undefined> {
  let failure: ReportedFailure | undefined
  let pending: Buffer = Buffer.alloc(0)
  const take = (chunk: Buffer): void => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    while (pending.length >= 5 && pending.length >= 5 + pending.readUInt32LE(1)) {
      const end = 5 + pending.readUInt32LE(1)
      const report = { kind: pending.readUInt8(0), payload: pending.subarray(5, end) }
      pending = pending.subarray(end)
      if (report.kind === failureKind) failure ??= decodeFailure(report.payload)
      else onReport(report)
    }
  }
  const addon = getAddon()
  return new Promise((resolve, reject) => {
    const reader = addon.openReader(fd, (chunk, error) => {
      if (error !== undefined) reject(error)
      else if (chunk === undefined) resolve(failure)
      else {
        try {
          take(chunk)
        } catch (problem) {
          addon.closeReader(reader)
          reject(problem)
        }
      }
    })
  })
}

/** Those that Node has no name for but mounting answers with. @see errno(3) */
const unnamed = { ENOTBLK: 15, EUCLEAN: 117 } as const
const errnoNames = new Map(Object.entries({ ...constants.errno, ...unnamed }).map(([name, value]) => [value, name]))

function decodeFailure(payload: Uint8Array): ReportedFailure {
  const reader = new WireReader(payload)
  const stage = reader.u32()
  const errno = reader.i32()
  return { stage, errnoName: errnoNames.get(errno) ?? `errno ${errno}`, text: reader.text() }
}

function decodeStatus(status: number): HelperExit {
  const signalNumber = status & 0x7f
  if (signalNumber === 0) return { exitCode: (status >> 8) & 0xff, signal: undefined }
  return { exitCode: undefined, signal: findSignalName(signalNumber) }
}

/** @returns undefined for 0, and for real-time signals, which have no name in Node */
export function findSignalName(number: number): NodeJS.Signals | undefined {
  if (number === 0) return undefined
  const signals = Object.entries(constants.signals) as [NodeJS.Signals, number][]
  return signals.find(([, value]) => value === number)?.[0]
}
