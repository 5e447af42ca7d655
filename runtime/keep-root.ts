import { closeSync } from 'node:fs'
import type { RootKeeper } from '../native/index.ts'
import { getAddon } from '../native/index.ts'
import type { ContainerSpec } from './container-spec.ts'
import type { KeptRoot, Places } from './helper-protocol.ts'
import type { HostSupport } from './host-support.ts'
import { isKernelAtLeast } from './host-support.ts'
import { leavesNetworkUnchanged } from './network/network-pool.ts'

/** Disposed of when the helper has ended. */
export interface RootKeeping extends KeptRoot, Disposable {
  /** The container has come to its end, so that its mount may be kept. */
  keep(): void
}

const nothing: RootKeeping = { path: undefined, socketFd: undefined, keep: () => undefined, [Symbol.dispose]: () => undefined }

/** @see docs/decisions/0087-mounts-kept-between-steps.md */
export function keepRoot(spec: ContainerSpec, places: Places, host: HostSupport): RootKeeping {
  const keeper = spec.rootfs.kind === 'overlay' ? spec.rootfs.keeper : undefined
  if (keeper === undefined) return nothing
  const key = mayKeep(spec, host) ? describeTree(spec, places) : undefined
  const path = keeper.find(key)
  return key === undefined || path !== undefined ? { ...nothing, path } : receive(keeper, key)
}

function receive(keeper: RootKeeper, key: string): RootKeeping {
  const addon = getAddon()
  const [own, socketFd] = addon.socketPair()
  return {
    path: undefined,
    socketFd,
    keep: () => {
      const mountFd = addon.receiveDescriptor(own)
      if (mountFd !== -1) keeper.keep(key, mountFd)
    },
    // A mount in a message that nobody has received goes with the socket.
    [Symbol.dispose]: () => {
      closeSync(own)
      closeSync(socketFd)
    },
  }
}

/** The ordinary container of our own helper: it cannot change a mount, only what lies on it. */
function mayKeep({ executor, isolation, privilege, mounts }: ContainerSpec, host: HostSupport): boolean {
  const isOurs = executor === undefined || executor.kind === 'helper'
  const hasOwnIds = host.idMaps !== undefined || isolation.idMaps !== undefined
  // What is bound decides itself whether its mount point is a folder, and the descriptor is that of the socket.
  const isSimple = mounts.every(({ kind }) => kind === 'file' || kind === 'tmpfs') && isolation.network.mode !== 'private'
  // Since Linux 6.15 mounts can be cloned that are attached nowhere.
  return isOurs && !hasOwnIds && isSimple && leavesNetworkUnchanged(privilege) && isKernelAtLeast(host, 6, 15)
}

/** What an overlay depends on beside its upperdir: the layers, and the mount points that lie below them. */
function describeTree({ rootfs }: ContainerSpec, { mounts }: Places): string {
  return JSON.stringify([rootfs.kind === 'overlay' ? rootfs.lowers : [], mounts.map(({ kind, target, isPinned }) => [kind, target, isPinned])])
}
