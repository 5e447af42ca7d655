import { readFileSync } from 'node:fs'
import { isInUserNamespace } from '../layer/user-namespace.ts'

/** For people: why this process cannot mount filesystems of its own making on images. @returns undefined when it may */
export function findMountObstacle(): string | undefined {
  if (process.geteuid?.() !== 0 || isInUserNamespace()) return 'mounting them takes root of the system; without it layers are kept unpacked'
  return mayMount() ? undefined : 'mounting them takes CAP_SYS_ADMIN, which root of this container lacks; without it layers are kept unpacked'
}

/** CAP_SYS_ADMIN. */
const systemAdministration = 1n << 21n

export function mayMount(): boolean {
  const [, capabilities] = /^CapEff:\s*([0-9a-f]+)$/mu.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return capabilities !== undefined && (BigInt(`0x${capabilities}`) & systemAdministration) !== 0n
}
