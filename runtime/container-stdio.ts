/** How the container's stdio is connected. */
export type ContainerStdio = Connection & {
  /** Told the pid of the container's init, as we see it. */
  readonly onStarted?: (initPid: number) => void
}

type Connection =
  /** stdin is empty; what is written comes as OutputEvents. */
  | { readonly kind: 'events'; /** A terminal of its own, whose output all comes as stdout. */ readonly hasTerminal?: boolean }
  /** These descriptors of ours, passed through. */
  | { readonly kind: 'descriptors'; readonly fds: readonly [number, number, number]; readonly signals?: SignalSource }
  /** A terminal of its own, bridged to these descriptors of ours; the caller has put its terminal in raw mode. */
  | { readonly kind: 'terminal'; readonly input: number; readonly output: number; readonly signals?: SignalSource }

/**
 * Whose signals are passed on to the container's process while it runs: `process`, in a command. SIGWINCH gives a
 * container with a terminal the new size.
 */
export interface SignalSource {
  on(signal: ForwardedSignal, listener: (signal: NodeJS.Signals) => void): unknown
  off(signal: ForwardedSignal, listener: (signal: NodeJS.Signals) => void): unknown
}

export type ForwardedSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGQUIT' | 'SIGUSR1' | 'SIGUSR2' | 'SIGWINCH'
