import type { ContainerState, DetachedContainer } from '../runtime/index.ts'

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
      // Kept for as long as further commands may be run in it.
      ...(running === undefined ? {} : { Env: running.process.env, User: `${running.process.user.uid}:${running.process.user.gid}`, WorkingDir: running.process.cwd, StopSignal: running.stopSignal ?? 'SIGTERM' }),
    },
  }
}
