export { removeStaleCgroups } from './cgroup/container-cgroup.ts'
export type { CgroupHierarchy } from './cgroup/hierarchies.ts'
export type {
  BridgePort, ClockOffsets, ContainerEvent, ContainerExit, ContainerSpec, ContainerStdio, Device, DeviceRate, ForwardedSignal, Isolation, LimitCause, Limits, LowerLayer, Mount, NamespaceChoice, Namespaces, Network, NotExecuted, OutputEvent, Pressure,
  Privilege, ProcessSpec, ProcessUser, Rootfs, Seccomp, SignalSource, Ulimit, UpperDirs, UsageReport, UsageSampled,
} from './container-spec.ts'
export type { CgroupController, SetupStage } from './errors.ts'
export { ContainerLost, ContainerSetupFailed, InvalidSpec, LimitNotApplicable, NetworkUnavailable, UserNamespaceUnavailable } from './errors.ts'
export type { HostSupport, Support } from './host-support.ts'
export { probeHost } from './host-support.ts'
export type { BridgeLease, BridgeOptions } from './network/bridge.ts'
export { leaseBridgePort, removeBridge } from './network/bridge.ts'
export type { Entry } from './rootless/enter-user-namespace.ts'
export { enterUserNamespace } from './rootless/enter-user-namespace.ts'
export { runContainer } from './run-container.ts'
