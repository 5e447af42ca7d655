import type { LowerLayer, RootKeeper } from '../native/index.ts'
import type { IdMaps } from './rootless/id-maps.ts'

/**
 * A container as plain data: our typed subset of the OCI runtime-spec. Whoever builds one decides everything; the
 * runtime adds nothing that is not in here. @see runtime-spec config.md, config-linux.md
 */
export interface ContainerSpec {
  /** `[a-z0-9-]{1,64}`, unique on the host: names the cgroup. */
  readonly id: string
  readonly rootfs: Rootfs
  readonly process: ProcessSpec
  readonly isolation: Isolation
  /** In the order to mount them, after the default ones (/proc, /dev, /sys, …). */
  readonly mounts: readonly Mount[]
  readonly limits: Limits
  readonly privilege: Privilege
  /** Beside the usual ones (null, zero, full, random, urandom, tty, a terminal's). */
  readonly devices?: readonly Device[]
  /** Default: our own helper. */
  readonly executor?: Executor
}

/** Who makes the container. The same container comes of it, but for what docs/decisions/0082-other-runtimes.md lists. */
export type Executor =
  | { readonly kind: 'helper' }
  /** A program with the command line of the OCI runtimes, by a name in PATH or by a path. */
  | { readonly kind: 'oci'; readonly runtime: string }
  /** Only a root directory of its own, for where nothing else can be had. @see docs/decisions/0083-without-namespaces.md */
  | { readonly kind: 'chroot' }

/** What becomes `/`. Nothing of it is mounted outside the container's own mount namespace. */
export type Rootfs =
  | OverlayRootfs
  | DirectoryRootfs

/** A complete tree, for storage without overlay and for OCI bundles. Mount points that it lacks are made in it. */
export interface DirectoryRootfs {
  readonly kind: 'directory'
  readonly path: string
  /** A file, empty at first, whose modification time becomes that of the first process's start: what the kernel changed later is the process's work. */
  readonly start?: string
}

export interface OverlayRootfs {
  readonly kind: 'overlay'
  /** Top layer first; may be empty (FROM scratch). */
  readonly lowers: readonly LowerLayer[]
  /** undefined: a read-only view of the lowers. */
  readonly upper: UpperDirs | undefined
  /** Which extended attributes carry whiteouts: `user` in a user namespace. */
  readonly xattrs: 'trusted' | 'user'
  /** The program fuse-overlayfs, where it mounts the layers in place of the kernel's overlayfs. Then the upperdir has the marks of that program. */
  readonly program?: string
  /** Where its mount may serve the next container. */
  readonly keeper?: RootKeeper
}

export type { LowerLayer }

export interface UpperDirs {
  readonly upperdir: string
  /** Empty, on the same filesystem as upperdir, used by this container only. */
  readonly workdir: string
}

export interface ProcessSpec {
  /** The first is looked up in the container's PATH unless it contains a slash. */
  readonly args: readonly string[]
  /** `NAME=value`, the whole environment. */
  readonly env: readonly string[]
  /** Absolute, inside the container; created when missing, owned by `user`. */
  readonly cwd: string
  readonly user: ProcessUser
  /** Default 0o022. */
  readonly umask?: number
  /** In place of the defaults of the same name. */
  readonly ulimits?: readonly Ulimit[]
  /** -1000 to 1000; default that of whoever starts the container, but at least 0. */
  readonly oomScoreAdj?: number
}

/** A resource limit, by the names of setrlimit(2) in small letters without RLIMIT_; -1 is unlimited. */
export interface Ulimit {
  readonly name: string
  readonly soft: number
  readonly hard: number
}

/** A device of the host. */
export interface Device {
  /** A device node, or a folder of them, on the host. */
  readonly source: string
  /** Below /dev. */
  readonly target: string
  /** Some of `r`, `w` and `m` (mknod). */
  readonly permissions: string
  /** Other permission bits and owner than the host's node has. */
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
}

export interface ProcessUser {
  readonly uid: number
  readonly gid: number
  /** Supplementary groups; in images' own processes `gid` is among them. */
  readonly groups: readonly number[]
}

export interface Isolation {
  readonly hostname: string
  readonly domainname?: string
  /** `none` has only loopback, which is up. */
  readonly network: Network
  /** Default: each its own. */
  readonly namespaces?: Namespaces
  readonly clockOffsets?: ClockOffsets
  /**
   * Of a user namespace of the container's own; default ours. Layers hold ids as the container has them; mounts of the host's files
   * show those that the host has.
   */
  readonly idMaps?: IdMaps
  /** Of /dev/shm; default 64 MiB. */
  readonly shmSizeBytes?: number
  /** Kernel settings below /proc/sys that belong to a namespace of the container's own: `net.ipv4.ip_forward`. */
  readonly sysctls?: Readonly<Record<string, string>>
}

export type Network =
  | { readonly mode: 'none'; readonly namespace?: Pick<KeptNamespace, 'path'> }
  | { readonly mode: 'host' }
  | { readonly mode: 'bridge'; readonly port: BridgePort; readonly namespace?: KeptNamespace }
  /** One of a plain user's, connected by a program of the host that runs as long as the container; it publishes the ports too. */
  | { readonly mode: 'private'; readonly program: UserNetworkProgram; readonly ports: readonly PublishedPort[] }
  /** That of another container, as the path of its namespace. */
  | { readonly mode: 'joined'; readonly path: string }

/** A network namespace that outlives the container. */
export interface KeptNamespace {
  readonly path: string
  /** An earlier container hung it on the bridge. */
  readonly isConnected: boolean
}

export interface UserNetworkProgram {
  readonly kind: 'pasta' | 'slirp4netns'
  readonly path: string
}

/** A port of the host that leads to one of a container. */
export interface PublishedPort {
  /** IP address to listen on; default every one of the host. */
  readonly address: string | undefined
  readonly hostPort: number
  readonly containerPort: number
  readonly protocol: 'tcp' | 'udp'
}

/** How a container hangs on a bridge; `leaseBridgePort` gives one. Addresses are IPv4, dotted. */
export interface BridgePort {
  readonly bridge: string
  /** Of the device outside; inside it is eth0. */
  readonly name: string
  readonly address: string
  readonly prefix: number
  readonly gateway: string
  readonly mtu: number
  /** Whether other containers on the bridge are out of reach. */
  readonly isIsolated: boolean
}

/** Which namespaces are not the container's own. */
export interface Namespaces {
  readonly pid?: NamespaceChoice
  readonly ipc?: NamespaceChoice
  readonly uts?: NamespaceChoice
  readonly cgroup?: NamespaceChoice
}

/** `joined`: that of another container, as the path of its namespace. */
export type NamespaceChoice = { readonly kind: 'host' } | { readonly kind: 'joined'; readonly path: string }

/** Seconds that clocks of the container are ahead; the time of day cannot be changed. @see time_namespaces(7) */
export interface ClockOffsets {
  readonly monotonic?: number
  readonly boottime?: number
}

/**
 * Links in `target` are followed inside the root only. A mount point that the image lacks is made where no layer sees
 * it. Nothing can be mounted at `/` or `/dev`, or in `/proc` or `/sys`.
 */
export type Mount =
  /**
   * `source` is a host path (file or directory), opened without following links in the last step. `hasContainerIds`: its files belong to
   * ids as containers have them, which a user namespace of the container's own has to be told.
   */
  | { readonly kind: 'bind'; readonly source: string; readonly target: string; readonly readonly: boolean; readonly hasContainerIds?: boolean }
  | { readonly kind: 'tmpfs'; readonly target: string; readonly sizeBytes?: number; readonly mode?: number; readonly isExecutable?: boolean; readonly readonly?: boolean }
  /**
   * What lies at `path` of another root filesystem, its links followed inside it; what is written goes to its own upper
   * directory. `path` is relative to its root, empty for all of it.
   */
  | { readonly kind: 'layers'; readonly rootfs: Rootfs; readonly path: string; readonly target: string; readonly readonly: boolean }
  /** A read-only file that exists only in the container's memory: resolv.conf, hosts, secrets. */
  | { readonly kind: 'file'; readonly target: string; readonly content: Uint8Array; readonly mode: number; readonly uid: number; readonly gid: number }

/** undefined means not limited. A limit that cannot be applied is an error. */
export interface Limits {
  /** At least 6 MiB. */
  readonly memoryBytes?: number
  /** Memory and swap together, as Docker counts it; -1 is unlimited swap. Default twice the memory where the kernel counts swap. */
  readonly memorySwapBytes?: number
  /** What the kernel leaves a container when memory is short. */
  readonly memoryReservationBytes?: number
  /** 0 to 100; only version 1 of cgroups has it. */
  readonly memorySwappiness?: number
  /** 1.5 is one and a half processors. */
  readonly cpus?: number
  /** In which that is reckoned; default 100 ms. */
  readonly cpuPeriodUs?: number
  /** 2 to 262144, in proportion to others; 1024 is usual. */
  readonly cpuShares?: number
  /** Processors and memory nodes, `0-2,7`. */
  readonly cpusetCpus?: string
  readonly cpusetMems?: string
  /** -1 is unlimited. */
  readonly pids?: number
  /** 10 to 1000, in proportion to others. */
  readonly blkioWeight?: number
  readonly deviceRates?: readonly DeviceRate[]
  /** By page size, as the kernel names it: `2MB`. */
  readonly hugetlbBytes?: Readonly<Record<string, number>>
  readonly timeoutMs?: number
}

/** How fast a whole block device may be read or written; bytes or operations a second. */
export interface DeviceRate {
  /** On the host; or its number, `8:0`. */
  readonly device: string
  readonly operation: 'read' | 'write'
  readonly unit: 'bytes' | 'operations'
  readonly perSecond: number
}

export interface Privilege {
  /** Names with or without `CAP_`, in any case, or `ALL`; added to and dropped from Docker's default 14. */
  readonly capAdd?: readonly string[]
  readonly capDrop?: readonly string[]
  /** In place of those two. */
  readonly capabilitySets?: CapabilitySets
  readonly noNewPrivileges?: boolean
  readonly readonlyRootfs?: boolean
  /** Default: the profile in runtime/seccomp/default-profile.json. */
  readonly seccomp?: Seccomp
  /** `unconfined` neither hides nor freezes any of /proc and /sys. */
  readonly systemPaths?: 'default' | 'unconfined'
  /** A profile the kernel has loaded. */
  readonly apparmorProfile?: string
  /** A context, `user:role:type:level`. */
  readonly selinuxLabel?: string
  /** All capabilities held, all devices, no filter, nothing hidden, /sys and the cgroups writable. */
  readonly isPrivileged?: boolean
}

/** By names, with or without `CAP_`. What a program gets by being executed follows from these. @see capabilities(7) */
export interface CapabilitySets {
  readonly bounding: readonly string[]
  readonly effective: readonly string[]
  readonly permitted: readonly string[]
  readonly inheritable: readonly string[]
  readonly ambient: readonly string[]
}

export type Seccomp =
  | { readonly kind: 'unconfined' }
  /** A parsed profile file of Docker's format. */
  | { readonly kind: 'profile'; readonly profile: unknown }
