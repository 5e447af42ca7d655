import type { Device, Executor, Limits, Privilege, Ulimit, UserNamespaceChoice, UserNetwork } from '../../runtime/index.ts'

/**
 * `default` is a bridge, for a plain user a private network, and the host's, with a warning, where that cannot be had; `joined` is the path of
 * a namespace.
 */
export type NetworkChoice = 'default' | 'none' | 'host' | 'bridge' | 'private' | { readonly joined: string }

/** What a caller says about how containers are confined: the same words for RUN steps and for run. */
export interface Confinement {
  readonly network: NetworkChoice
  /** Of the bridge, `10.213.0.0/16`; default one that the host does not use. */
  readonly subnet: string | undefined
  readonly userNamespace: UserNamespaceChoice
  /** What connects private networks. */
  readonly userNetwork: UserNetwork
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
  network: 'default', subnet: undefined, userNamespace: { kind: 'host' }, userNetwork: { kind: 'missing', reason: 'no program for it was named' }, limits: {}, privilege: {}, ulimits: [], devices: [], shmSizeBytes: undefined, hosts: [], dns: { servers: [], search: [], options: [] },
  executor: { kind: 'helper' },
}
