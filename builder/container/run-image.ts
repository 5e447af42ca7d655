import { posix } from 'node:path'
import { randomBytes } from 'node:crypto'
import type { Task } from '../../core/task.ts'
import type { RunConfig } from '../../oci/image-config.ts'
import type { Platform } from '../../oci/platform.ts'
import type { ClockOffsets, ContainerEvent, ContainerExit, ContainerSpec, ContainerStdio, IdMaps, Mount, Namespaces, Network, PublishedPort } from '../../runtime/index.ts'
import { leaseIds, publishPorts } from '../../runtime/index.ts'
import type { Store, StoredImage } from '../../storage/index.ts'
import type { Engine } from '../engine.ts'
import type { BuildEvent } from '../events.ts'
import { NoCommand } from '../errors.ts'
import { putEnv } from '../plan/lower-config.ts'
import { defaultPath } from '../plan/stage-state.ts'
import { openImage } from '../transfer/portable-image.ts'
import type { Confinement } from './confinement.ts'
import { networkFiles } from './network-files.ts'
import { openNetwork } from './open-network.ts'
import { runInStore } from './run-in-store.ts'
import { resolveGroups, resolveUser } from './user.ts'

/** What `docker run` says beyond the image. */
export interface RunRequest {
  readonly image: StoredImage
  /** Which of an index's images; default what suits this machine. */
  readonly platform?: Platform | undefined
  /** Replaces the image's CMD. */
  readonly command: readonly string[]
  readonly entrypoint?: string | undefined
  /** `NAME=value`. */
  readonly env: readonly string[]
  readonly user?: string | undefined
  readonly workdir?: string | undefined
  readonly hostname?: string | undefined
  readonly domainname?: string | undefined
  /** Supplementary groups, by name or id, beside the user's own. */
  readonly groups: readonly string[]
  readonly mounts: readonly Mount[]
  readonly sysctls: Readonly<Record<string, string>>
  readonly oomScoreAdj?: number | undefined
  readonly umask?: number | undefined
  readonly confinement: Confinement
  readonly hasTerminal: boolean
  readonly namespaces: Namespaces
  readonly clockOffsets: ClockOffsets
  readonly ports: readonly PublishedPort[]
}

export interface RunPlace {
  readonly stdio: ContainerStdio
  /** Told what the container is before it starts, and the image's STOPSIGNAL. */
  readonly onSpec?: (spec: ContainerSpec, stopSignal: string | undefined) => void
}

/** Runs a container of an image to its end; what it writes to its root filesystem is gone afterwards. */
export async function runImage({ store }: Engine, request: RunRequest & RunPlace, task: Task<ContainerEvent | RunWarning>): Promise<ContainerExit> {
  const { config, chain } = await openImage(store, request.image, request.platform)
  const top = chain.at(-1)
  await using snapshot = await store.layers.prepare(top)
  const { confinement, ports } = request
  const warn = (reason: string): void => { task.emit({ type: 'warning-raised', rule: 'NetworkFallback', message: `no network of its own here, so the container uses the host's: ${reason}`, range: undefined }) }
  using open = await openNetwork(confinement.network, { ...confinement, isIsolated: false, ports, warn })
  using ids = leaseIds(confinement.userNamespace)
  const spec = await containerSpec(store, { request, config: config.config ?? {}, rootfs: snapshot.rootfs, top, network: open.network, idMaps: ids.idMaps })
  request.onSpec?.(spec, config.config?.StopSignal)
  await using _published = await publishPorts(ports, open.network)
  return await runInStore(store, spec, request.stdio, task)
}

export type RunWarning = BuildEvent & { readonly type: 'warning-raised' }

interface SpecParts {
  readonly network: Network
  readonly idMaps: IdMaps | undefined
  readonly request: RunRequest
  readonly config: RunConfig
  readonly rootfs: ContainerSpec['rootfs']
  readonly top: Parameters<Store['layers']['view']>[0]
}

async function containerSpec(store: Store, { request, config, rootfs, top, network, idMaps }: SpecParts): Promise<ContainerSpec> {
  const containerId = randomBytes(6).toString('hex')
  const hostname = request.hostname ?? containerId
  const view = store.layers.view(top)
  const user = await resolveUser(view, request.user ?? config.User ?? '')
  const groups = await resolveGroups(view, request.groups)
  const { limits, privilege, devices, ulimits, shmSizeBytes, executor } = request.confinement
  return {
    id: `run-${containerId}`,
    rootfs,
    process: {
      args: processArgs(request, config),
      env: environment(request, config, { HOSTNAME: hostname, HOME: user.home }),
      cwd: posix.resolve('/', request.workdir ?? config.WorkingDir ?? '/'),
      user: { ...user, groups: [...new Set([...user.groups, ...groups])] },
      ulimits,
      ...(request.oomScoreAdj === undefined ? {} : { oomScoreAdj: request.oomScoreAdj }),
      ...(request.umask === undefined ? {} : { umask: request.umask }),
    },
    isolation: {
      hostname, network, sysctls: request.sysctls, namespaces: request.namespaces, clockOffsets: request.clockOffsets,
      ...(idMaps === undefined ? {} : { idMaps }),
      ...(request.domainname === undefined ? {} : { domainname: request.domainname }),
      ...(shmSizeBytes === undefined ? {} : { shmSizeBytes }),
    },
    mounts: [...networkFiles({ network, hostname, confinement: request.confinement }), ...request.mounts],
    limits, privilege, devices, executor,
  }
}

/** An entrypoint given anew makes the image's command meaningless. */
function processArgs({ command, entrypoint, image }: RunRequest, config: RunConfig): string[] {
  const start = entrypoint === undefined ? config.Entrypoint ?? [] : entrypoint === '' ? [] : [entrypoint]
  const rest = command.length > 0 ? command : entrypoint === undefined ? config.Cmd ?? [] : []
  const args = [...start, ...rest]
  if (args.length === 0) throw new NoCommand(image.names[0] ?? image.id)
  return args
}

/** The image's variables, then what a container always has where nobody set it, then the caller's. */
function environment({ env, hasTerminal }: RunRequest, config: RunConfig, facts: Readonly<Record<string, string>>): string[] {
  // An entry without a name or a value is never filled in from our own environment.
  let entries = (config.Env ?? []).filter((entry) => entry.indexOf('=') > 0)
  const defaults = [defaultPath, ...Object.entries(facts).map(([name, value]) => `${name}=${value}`), ...(hasTerminal ? ['TERM=xterm'] : [])]
  for (const entry of defaults) {
    const name = entry.slice(0, entry.indexOf('=') + 1)
    if (!entries.some((known) => known.startsWith(name))) entries = [...entries, entry]
  }
  for (const entry of env) entries = putEnv(entries, entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1))
  return entries
}
