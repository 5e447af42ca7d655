import { spawn } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { isErrno } from '../core/errors.ts'
import type { Task } from '../core/task.ts'
import { MalformedDocument } from '../oci/errors.ts'
import { parseDocument } from '../oci/json.ts'
import type { Environment } from './config/environment.ts'
import { variable } from './config/environment.ts'
import { Secret } from './config/secret.ts'
import { CredentialHelperFailed } from './errors.ts'

/** A program that keeps credentials, `docker-credential-NAME`. @see docker/docker-credential-helpers, its protocol */
export interface CredentialHelper {
  readonly name: string
  readonly env: Environment
  readonly deadlineMs: number
}

export interface HelperCredential { readonly username: string; readonly secret: Secret }

interface Answer { readonly exitCode: number | null; readonly output: Buffer }

const maxOutputBytes = 64 * 1024
/** What helpers say, with exit code 1, for a server they know nothing of. The protocol has no other sign. */
const notFound = 'credentials not found in native keychain'

/** What the helper has for this server, or undefined. @throws {CredentialHelperFailed} */
export async function askHelper(helper: CredentialHelper, server: string, task: Task): Promise<HelperCredential | undefined> {
  const { exitCode, output } = await run(helper, { action: 'get', server, input: server }, task)
  if (exitCode === 0) return parseAnswer(output, helper, server)
  if (output.toString().trim() === notFound) return undefined
  throw new CredentialHelperFailed(programName(helper), server, `it ended with exit code ${String(exitCode)}; to see why, run: echo ${server} | ${programName(helper)} get`)
}

/** @throws {CredentialHelperFailed} */
export async function storeInHelper(helper: CredentialHelper, entry: { readonly server: string; readonly credential: HelperCredential }, task: Task): Promise<void> {
  const { server, credential } = entry
  const input = JSON.stringify({ ServerURL: server, Username: credential.username, Secret: credential.secret.reveal() })
  const { exitCode } = await run(helper, { action: 'store', server, input }, task)
  if (exitCode !== 0) throw new CredentialHelperFailed(programName(helper), server, `storing ended with exit code ${String(exitCode)}`)
}

/** Erasing what is not there is no error. @throws {CredentialHelperFailed} */
export async function eraseFromHelper(helper: CredentialHelper, server: string, task: Task): Promise<void> {
  const { exitCode, output } = await run(helper, { action: 'erase', server, input: server }, task)
  if (exitCode === 0 || output.toString().trim() === notFound) return
  throw new CredentialHelperFailed(programName(helper), server, `erasing ended with exit code ${String(exitCode)}`)
}

function programName(helper: CredentialHelper): string {
  return `docker-credential-${helper.name}`
}

function parseAnswer(output: Buffer, helper: CredentialHelper, server: string): HelperCredential {
  const fail = (problem: string): never => {
    throw new CredentialHelperFailed(programName(helper), server, problem)
  }
  const { ServerURL, Username, Secret: secret } = parseOutput(output, fail)
  if (typeof Username !== 'string' || typeof secret !== 'string') return fail('it printed no Username and Secret')
  if (secret === '') return fail('it printed an empty Secret')
  if (typeof ServerURL === 'string' && ServerURL !== '' && hostOf(ServerURL) !== hostOf(server)) return fail('it answered for another server')
  return { username: Username, secret: new Secret(secret) }
}

function parseOutput(output: Buffer, fail: (problem: string) => never): ReturnType<typeof parseDocument> {
  try {
    return parseDocument(output, 'answer of a credential helper')
  } catch (error) {
    // The parser's own message could quote the secret.
    if (error instanceof MalformedDocument) return fail('it printed something that is not a JSON object')
    throw error
  }
}

function hostOf(server: string): string {
  return server.replace(/^https?:\/\//u, '').split('/', 1)[0] ?? ''
}

async function run(helper: CredentialHelper, call: { action: 'get' | 'store' | 'erase'; server: string; input: string }, task: Task): Promise<Answer> {
  task.signal.throwIfAborted()
  // A name is a file name and no option; a server is one line of printable characters.
  if (!/^[a-zA-Z0-9_][\w.-]*$/u.test(helper.name)) throw new CredentialHelperFailed(helper.name, call.server, 'this cannot be the name of a helper')
  if (!/^[\x21-\x7e]+$/u.test(call.server)) throw new CredentialHelperFailed(programName(helper), JSON.stringify(call.server), 'the server has characters that no server name has')
  const program = await findProgram(helper)
  if (program === undefined) {
    throw new CredentialHelperFailed(programName(helper), call.server, 'it is not on the PATH; install it, or take it out of credsStore and credHelpers')
  }
  return execute(program, { ...call, helper }, task)
}

/** Only absolute folders of PATH are searched: a relative one would run what lies in the build context. */
async function findProgram(helper: CredentialHelper): Promise<string | undefined> {
  for (const folder of (variable(helper.env, 'PATH') ?? '').split(':')) {
    if (!isAbsolute(folder)) continue
    const path = join(folder, programName(helper))
    try {
      await access(path, constants.X_OK)
      return path
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) throw error
    }
  }
  return undefined
}

function execute(program: string, call: { helper: CredentialHelper; action: string; server: string; input: string }, task: Task): Promise<Answer> {
  const { helper, action, server, input } = call
  return new Promise((resolve, reject) => {
    // Its own process group, so that what it started ends with it.
    const child = spawn(program, [action], { env: { ...helper.env }, stdio: ['pipe', 'pipe', 'ignore'], detached: true, shell: false })
    const chunks: Buffer[] = []
    let sizeBytes = 0
    const settle = (finish: () => void): void => {
      clearTimeout(deadline)
      task.signal.removeEventListener('abort', abort)
      finish()
    }
    const giveUp = (reason: unknown): void => {
      child.removeAllListeners('close')
      if (child.pid !== undefined) killGroup(child.pid)
      child.stdout.destroy()
      settle(() => { reject(reason) })
    }
    const fail = (problem: string): void => { giveUp(new CredentialHelperFailed(programName(helper), server, problem)) }
    const abort = (): void => { giveUp(task.signal.reason) }
    const deadline = setTimeout(() => { fail(`it did not answer within ${helper.deadlineMs / 1000} s`) }, helper.deadlineMs)
    task.signal.addEventListener('abort', abort, { once: true })
    child.on('error', (error) => { fail(`it cannot be started: ${isErrno(error) ? error.code : error.name}`) })
    child.on('close', (exitCode) => { settle(() => { resolve({ exitCode, output: Buffer.concat(chunks) }) }) })
    child.stdout.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.byteLength
      if (sizeBytes > maxOutputBytes) fail(`it printed more than ${maxOutputBytes} bytes`)
      else chunks.push(chunk)
    })
    // A helper may end without reading; its exit code says whether that was right.
    child.stdin.on('error', (error) => { if (!isErrno(error, 'EPIPE', 'ECONNRESET')) fail('its input cannot be written') })
    child.stdin.end(input)
  })
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error
  }
}
