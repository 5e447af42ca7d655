export interface ContainerExit {
  /** That of the process; 128 + n when signal n ended it. */
  readonly exitCode: number
  readonly signal: NodeJS.Signals | undefined
  /** Set when a limit ended or broke it, also when the process hid that behind another exit code. */
  readonly cause: LimitCause | undefined
  /** Set when the command could not be started; `exitCode` is 127 or 126 then, as a shell has it. */
  readonly notExecuted: NotExecuted | undefined
  readonly usage: UsageReport
}

export interface NotExecuted {
  readonly reason:
    /** There is no such file, or none in PATH. */
    | 'not-found'
    /** The file is there; what its first line, or its dynamic loader entry, names is not. */
    | 'interpreter-not-found'
    /** A directory, a file without x, or on a filesystem without exec. */
    | 'not-executable'
    /** No program of this machine: a script without `#!`, or another platform's binary. */
    | 'wrong-format'
    /** Arguments and environment exceed what the kernel passes on. */
    | 'arguments-too-long'
    /** Any other refusal; `errnoName` says which. */
    | 'refused'
  /** The file tried, or the name that no folder of PATH has. */
  readonly file: string
  readonly errnoName: string
}

export interface LimitCause {
  readonly limit: 'memory' | 'pids' | 'timeout' | 'disk-bytes' | 'disk-inodes'
  /** In the unit of the limit: bytes, processes, milliseconds, inodes. */
  readonly configured: number
  readonly peak: number | undefined
  /** What the kernel killed, where its log can be read. */
  readonly victim: { readonly name: string; readonly pid: number } | undefined
}

/** What a step used, read from its cgroups before they are removed; undefined where the kernel does not tell. */
export interface UsageReport {
  readonly wallMs: number
  readonly memoryPeakBytes: number | undefined
  /** At the end: what its files left in the cache. */
  readonly memoryCurrentBytes: number | undefined
  readonly oomKills: number | undefined
  readonly cpuMs: number | undefined
  /** Of a container with a limit on `cpus`: how many periods it ran in, in how many it was stopped, and for how long. */
  readonly cpuPeriods: number | undefined
  readonly cpuThrottledPeriods: number | undefined
  readonly cpuThrottledMs: number | undefined
  readonly pidsPeak: number | undefined
  /** How often a fork was refused because of the pids limit. */
  readonly pidsDenied: number | undefined
  readonly ioReadBytes: number | undefined
  readonly ioWriteBytes: number | undefined
  readonly ioReads: number | undefined
  readonly ioWrites: number | undefined
  /** For how long some process waited for want of it. */
  readonly pressure: Pressure | undefined
}

export interface Pressure {
  readonly cpuMs: number
  readonly memoryMs: number
  readonly ioMs: number
}
