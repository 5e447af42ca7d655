import type { Place } from '../errors.ts'
import { DockerfileError, quote } from '../errors.ts'
import { findNearest } from '../../../core/nearest.ts'

const names: readonly string[] = [
  'ABRT', 'ALRM', 'BUS', 'CHLD', 'CLD', 'CONT', 'FPE', 'HUP', 'ILL', 'INT', 'IO', 'IOT', 'KILL', 'PIPE', 'POLL', 'PROF', 'PWR', 'QUIT',
  'SEGV', 'STKFLT', 'STOP', 'SYS', 'TERM', 'TRAP', 'TSTP', 'TTIN', 'TTOU', 'URG', 'USR1', 'USR2', 'VTALRM', 'WINCH', 'XCPU', 'XFSZ',
  'RTMIN', 'RTMAX',
  ...Array.from({ length: 15 }, (_, index) => `RTMIN+${index + 1}`),
  ...Array.from({ length: 14 }, (_, index) => `RTMAX-${index + 1}`),
]

/**
 * Checks STOPSIGNAL after expansion. The image keeps it as written: `9`, `KILL`, `SIGKILL` and `sigkill` are alike.
 * @throws {DockerfileError}
 */
export function parseStopSignal(text: string, place: Place): string {
  const name = text.toUpperCase().replace(/^SIG/u, '')
  const isKnown = names.includes(name) || (/^\d{1,2}$/u.test(text) && Number(text) >= 1 && Number(text) <= 64)
  if (isKnown) return text
  const nearest = findNearest(name, names)
  throw new DockerfileError(place, {
    rule: 'signal',
    problem: `STOPSIGNAL ${quote(text)} is no signal`,
    remedy: 'write a name such as SIGTERM, or a number from 1 to 64',
    suggestion: nearest === undefined ? undefined : `SIG${nearest}`,
  })
}
