export interface OutputEvent {
  readonly type: 'container-output'
  readonly stream: 'stdout' | 'stderr'
  readonly bytes: Uint8Array
}

/** What a container uses at one moment; sent while it runs, four times a second at most. */
export interface UsageSampled {
  readonly type: 'usage-sampled'
  readonly atMs: number
  /** undefined where the kernel does not count it. */
  readonly memoryBytes: number | undefined
  readonly processes: number
  /** Since it started. */
  readonly cpuMs: number
}

export type ContainerEvent = OutputEvent | UsageSampled
