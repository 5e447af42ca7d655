import { chmodSync, chownSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import type { Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SecretUnavailable } from '../errors.ts'

/** A socket that leads to an agent, until it is disposed of. */
export interface AgentSocket extends AsyncDisposable {
  readonly path: string
}

/**
 * Offers a user's agent at a socket of its own, which can have the owner and mode that a step asks for without the
 * user's being touched. Only what connects while the step runs reaches the agent.
 * @throws {SecretUnavailable} when there is no socket where the agent should be
 */
export async function openAgentSocket(agent: { readonly id: string; readonly path: string }, owner: { readonly uid: number; readonly gid: number; readonly mode: number }): Promise<AgentSocket> {
  if (statSync(agent.path, { throwIfNoEntry: false })?.isSocket() !== true) throw new SecretUnavailable(agent.id, `"${agent.path}" is no socket of an agent`, `--ssh ${agent.id}=$SSH_AUTH_SOCK`)
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-agent-'))
  const path = join(folder, 'agent.sock')
  const open = new Set<Socket>()
  const server = createServer((client) => { joinSockets(client, connect(agent.path), open) })
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
    chownSync(path, owner.uid, owner.gid)
    chmodSync(path, owner.mode)
  } catch (error) {
    server.close()
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => { server.close(() => { resolve() }) })
      for (const socket of open) socket.destroy()
      await closed
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The end of either is the end of both: a lost agent is a closed connection to the step, as without us. */
function joinSockets(client: Socket, agent: Socket, open: Set<Socket>): void {
  for (const [one, other] of [[client, agent], [agent, client]] as const) {
    open.add(one)
    one.on('error', () => other.destroy())
    one.on('close', () => {
      open.delete(one)
      other.destroy()
    })
  }
  client.pipe(agent).pipe(client)
}
