import type { Device, Executor, Limits, Privilege, Ulimit, UserNamespaceChoice } from '../../runtime/index.ts'
import type { NetworkChoice } from './open-network.ts'

/** What a caller says about how containers are confined: the same words for RUN steps and for run. */
export interface Confinement {
  readonly network: NetworkChoice
  /** Of the bridge, `10.213.0.0/16`; default one that the host does not use. */
  readonly subnet: string | undefined
  readonly userNamespace: UserNamespaceChoice
  readonly limits: Limits
  readonly privilege: Privilege
  readonly ulimits: readonly Ulimit[]
  readonly devices: readonly Device[]
  readonly shmSizeBytes: number | undefined
  /** Lines of /etc/hosts beside our own. */
  readonly hosts: readonly HostEntry[]
  readonly dns: DnsSettings
  readonly executor: Executor
}

export interface HostEntry {
  readonly name: string
  /** An IP address, or `host-gateway` for the host as the container reaches it. */
  readonly address: string
}

/** Each takes the place of what the host's resolv.conf has. */
export interface DnsSettings {
  readonly servers: readonly string[]
  readonly search: readonly string[]
  readonly options: readonly string[]
}

export const unsetConfinement: Confinement = {
  network: 'default', subnet: undefined, userNamespace: { kind: 'host' }, limits: {}, privilege: {}, ulimits: [], devices: [], shmSizeBytes: undefined, hosts: [], dns: { servers: [], search: [], options: [] },
  executor: { kind: 'helper' },
}
