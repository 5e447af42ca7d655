import type { HelperProcess } from '../native/index.ts'
import type { ForwardedSignal, SignalSource } from './container-stdio.ts'

/** What the process of a container is sent when its caller gets it. */
export const forwarded: readonly ForwardedSignal[] = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH']

/** Passes signals on to the container's process until the returned function is called. */
export function forwardSignals(source: SignalSource | undefined, helper: HelperProcess): () => void {
  if (source === undefined) return () => undefined
  const forward = (signal: NodeJS.Signals): void => { helper.kill(signal) }
  for (const signal of forwarded) source.on(signal, forward)
  return () => { for (const signal of forwarded) source.off(signal, forward) }
}
