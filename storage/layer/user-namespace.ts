import { readFileSync } from 'node:fs'

/** Whether this process is in another one than the machine began with: its user 0 is not the machine's. @see user_namespaces(7) */
export function isInUserNamespace(): boolean {
  return !/^\s*0\s+0\s+4294967295\s*$/u.test(readFileSync('/proc/self/uid_map', 'utf8'))
}
