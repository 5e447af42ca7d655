import type { Privilege } from './container-spec.ts'
import { InvalidSpec } from './errors.ts'
import type { HostSupport } from './host-support.ts'

/**
 * What is written to /proc/self/attr/exec, so that the container's program starts confined; "" for nothing.
 * @throws {InvalidSpec} the kernel does not have the security module, so the container would run without its protection
 */
export function securityLabel({ apparmorProfile, selinuxLabel }: Privilege, host: HostSupport): string {
  if (apparmorProfile !== undefined && apparmorProfile !== 'unconfined') {
    requireModule('apparmor', { field: 'privilege.apparmorProfile', value: apparmorProfile, host })
    return `exec ${apparmorProfile}`
  }
  if (selinuxLabel === undefined) return ''
  requireModule('selinux', { field: 'privilege.selinuxLabel', value: selinuxLabel, host })
  return selinuxLabel
}

function requireModule(name: string, { field, value, host }: { readonly field: string; readonly value: string; readonly host: HostSupport }): void {
  if (/[\0\n]/u.test(value)) throw new InvalidSpec(field, value, 'one line')
  if (host.securityModules.includes(name)) return
  throw new InvalidSpec(field, value, `a kernel with ${name}; this one has ${host.securityModules.length === 0 ? 'no security module' : host.securityModules.join(', ')}`)
}
