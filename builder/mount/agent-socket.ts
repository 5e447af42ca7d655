import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import type { Socket } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SecretUnavailable } from './errors.ts'
import type { Agent } from './ssh-agent.ts'
import { connectAgent, createKeyAgent, serveAgent } from './ssh-agent.ts'
import type { SshKey } from './ssh-key.ts'
import { parseSshKey } from './ssh-key.ts'

/** As BuildKit. */
const maxKeyBytes = 100 * 1024

/** A socket that leads to an agent, until it is disposed of. */
export interface AgentSocket extends AsyncDisposable {
  readonly path: string
}

/** What `--ssh` names: the socket of an agent, or files of keys. */
export interface AgentSource {
  readonly id: string
  readonly paths: readonly string[]
}

/**
 * Offers a user's agent, or keys of his, at a socket of its own, which can have the owner and mode that a step asks for
 * without the user's being touched. Only what connects while the step runs reaches it.
 * @throws {SecretUnavailable} when there is neither the socket of an agent nor a key
 */
export async function openAgentSocket(source: AgentSource, owner: { readonly uid: number; readonly gid: number; readonly mode: number }): Promise<AgentSocket> {
  const openAgent = chooseAgent(source)
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-agent-'))
  const path = join(folder, 'agent.sock')
  const open = new Set<Socket>()
  const server = createServer((client) => {
    open.add(client)
    client.on('close', () => { open.delete(client) })
    // Whatever fails between the two, the step sees its connection end.
    serveAgent(client, openAgent()).catch(() => { client.destroy() })
  })
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

/** Refuses before any step runs what no step could be given. @throws {SecretUnavailable} */
export function checkAgentSource(source: AgentSource): void {
  chooseAgent(source)
}

/** How to get an agent for one connection. */
function chooseAgent({ id, paths }: AgentSource): () => Agent {
  const [first = '', ...others] = paths
  const isSocket = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isSocket() === true
  if (others.length === 0 && isSocket(first)) return () => connectAgent(first)
  if (paths.some(isSocket)) throw new SecretUnavailable(id, 'it is given a socket and something else', `--ssh ${id}=SOCKET, or --ssh ${id}=KEY,KEY`)
  const keys = paths.map((path) => readKey(id, path))
  return () => createKeyAgent(keys)
}

function readKey(id: string, path: string): SshKey {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) throw new SecretUnavailable(id, `"${path}" is neither the socket of an agent nor the file of a key`, `--ssh ${id}=$SSH_AUTH_SOCK`)
  const key = parseSshKey(readFileSync(path).subarray(0, maxKeyBytes).toString('latin1'), path)
  switch (key) {
    case 'encrypted': throw new SecretUnavailable(id, `the key "${path}" has a passphrase`, `ssh-add ${path}, and --ssh ${id}=$SSH_AUTH_SOCK`)
    case 'malformed': throw new SecretUnavailable(id, `"${path}" holds no private key`, `--ssh ${id}=$SSH_AUTH_SOCK`)
    case 'unsupported': throw new SecretUnavailable(id, `"${path}" holds a key of a kind we cannot sign with`, `ssh-add ${path}, and --ssh ${id}=$SSH_AUTH_SOCK`)
    default: return key
  }
}
