import { readFileSync } from 'node:fs'

/** A random UUID. From the kernel, because node:crypto takes longer to load than the rest of many a command. */
export function randomId(): string {
  return readFileSync('/proc/sys/kernel/random/uuid', 'latin1').trimEnd()
}
