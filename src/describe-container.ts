import { readFileSync } from 'node:fs'
import { isErrno } from '../core/errors.ts'
import type { ContainerState, DetachedContainer, RunningState } from '../runtime/index.ts'

/** In Docker's words. */
export function stateName({ kind }: ContainerState): 'created' | 'running' | 'exited' | 'dead' {
  switch (kind) {
    case 'starting': return 'created'
    case 'running': return 'running'
    case 'ended': return 'exited'
    case 'lost': return 'dead'
  }
}

/** What is known of a detached container, by the names it has in `docker inspect`. */
export function describeContainer({ id, name, image, command, createdAtMs, ports, labels = [], state }: DetachedContainer): object {
  const [path = '', ...args] = command
  const running = state.kind === 'running' ? state.running : undefined
  const end = state.kind === 'ended' ? state.end : undefined
  return {
    Id: id, Name: `/${name}`, Created: new Date(createdAtMs).toISOString(), Path: path, Args: args, Image: image, Ports: ports,
    State: {
      Status: stateName(state), Running: running !== undefined, Dead: state.kind === 'lost', Pid: running?.initPid ?? 0,
      ExitCode: end?.exitCode ?? 0, Error: end?.reason ?? '', ...(end === undefined ? {} : { FinishedAt: new Date(end.endedAtMs).toISOString() }),
    },
    Config: {
      Image: image, Cmd: command, Labels: Object.fromEntries(labels.map((label) => [label.slice(0, label.indexOf('=')), label.slice(label.indexOf('=') + 1)])),
      ...(running === undefined ? {} : runningConfig(running)),
    },
    NetworkSettings: networkSettings(running?.address),
    ...(running === undefined ? {} : { GraphDriver: { Name: 'overlay', Data: overlayData(running) }, UidMap: idMap(running.initPid, 'uid_map'), GidMap: idMap(running.initPid, 'gid_map') }),
  }
}

/** Kept for as long as further commands may be run in it. */
function runningConfig({ process: { env, user, cwd }, stopSignal }: RunningState): object {
  return { Env: env, User: `${user.uid}:${user.gid}`, WorkingDir: cwd, StopSignal: stopSignal ?? 'SIGTERM' }
}

function networkSettings(address: RunningState['address']): object {
  if (address === undefined) return { IPAddress: '', Gateway: '', IPPrefixLen: 0, Networks: {} }
  const { ip, gateway, prefix } = address
  const own = { IPAddress: ip, Gateway: gateway, IPPrefixLen: prefix }
  return { ...own, Networks: { bridge: own } }
}

/** What is mounted, which nobody outside sees but by way of the container's own process. */
function overlayData({ overlay, initPid }: RunningState): Readonly<Record<string, string>> {
  const merged = { MergedDir: `/proc/${initPid}/root` }
  return overlay === undefined ? merged : { LowerDir: overlay.lowerdirs.join(':'), UpperDir: overlay.upperdir, WorkDir: overlay.workdir, ...merged }
}

/** As the kernel shows them to us, in the words of the OCI runtime specification. */
function idMap(initPid: number, name: 'uid_map' | 'gid_map'): object[] {
  try {
    const lines = readFileSync(`/proc/${initPid}/${name}`, 'utf8').trim().split('\n')
    return lines.map((line) => line.trim().split(/\s+/u).map(Number)).map(([containerID, hostID, size]) => ({ containerID, hostID, size }))
  } catch (error) {
    // It ended just now.
    if (isErrno(error, 'ENOENT', 'ESRCH')) return []
    throw error
  }
}
