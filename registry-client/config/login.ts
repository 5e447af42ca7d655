import { randomUUID } from 'node:crypto'
import { open, realpath, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { makeFolder } from '../../core/make-folder.ts'
import type { Task } from '../../core/task.ts'
import type { JsonObject } from '../../oci/json.ts'
import { isObject } from '../../oci/json.ts'
import type { CredentialHelper, HelperCredential } from '../credential-helper.ts'
import { InvalidConfiguration } from '../errors.ts'
import type { CredentialFile } from './credential-file.ts'
import { normalizeKey, readCredentialDocument, readCredentialFile, serverName } from './credential-file.ts'
import { credentialPaths, loginPath } from './credentials.ts'
import type { Environment } from './environment.ts'
import type { Secret } from './secret.ts'

/** Where a credential is kept now. */
export type CredentialPlace =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'helper'; readonly name: string }

export interface Login {
  readonly registry: string
  readonly username: string
  readonly password: Secret
}

const helperDeadlineMs = 30_000

/**
 * Keeps a login where `loadCredentials` will find it: with the helper configured for the registry, else in the file,
 * which is replaced in one step, readable by its owner only, and otherwise says what it said before. The file is the
 * first that knows the registry or has a helper for it, as that would be asked before any later one.
 * @throws {InvalidConfiguration} @throws {CredentialHelperFailed}
 */
export async function saveCredentials(env: Environment, login: Login, task: Task): Promise<CredentialPlace> {
  const { path, file } = await openLoginFile(env, login.registry)
  const helper = findHelper(file, login.registry, env)
  if (helper === undefined) {
    const auth = Buffer.from(`${login.username}:${login.password.reveal()}`).toString('base64')
    await changeAuths(path, (auths) => ({ ...without(auths, login.registry), [serverName(login.registry)]: { auth } }))
    return { kind: 'file', path }
  }
  const credential: HelperCredential = { username: login.username, secret: login.password }
  const { storeInHelper } = await import('../credential-helper.ts')
  await storeInHelper(helper, { server: serverName(login.registry), credential }, task)
  await changeAuths(path, (auths) => ({ ...without(auths, login.registry), [serverName(login.registry)]: {} }))
  return { kind: 'helper', name: helper.name }
}

/** Forgets a login in all files that are searched and in their helpers. @returns whether any file knew of one */
export async function eraseCredentials(env: Environment, registry: string, task: Task): Promise<boolean> {
  let wasThere = false
  for (const path of credentialPaths(env)) {
    const file = await readCredentialFile(path)
    const helper = findHelper(file, registry, env)
    if (helper !== undefined) {
      const { eraseFromHelper } = await import('../credential-helper.ts')
      await eraseFromHelper(helper, serverName(registry), task)
    }
    if (file?.entries.has(registry) !== true) continue
    await changeAuths(path, (auths) => without(auths, registry))
    wasThere = true
  }
  return wasThere
}

async function openLoginFile(env: Environment, registry: string): Promise<{ path: string; file: CredentialFile | undefined }> {
  for (const path of credentialPaths(env)) {
    const file = await readCredentialFile(path)
    if (file !== undefined && (file.entries.has(registry) || findHelper(file, registry, env) !== undefined)) return { path, file }
  }
  const path = loginPath(env)
  if (path === undefined) throw new InvalidConfiguration('config.json', { text: 'has no place: set HOME, DOCKER_CONFIG or REGISTRY_AUTH_FILE' })
  return { path, file: await readCredentialFile(path) }
}

function findHelper(file: CredentialFile | undefined, registry: string, env: Environment): CredentialHelper | undefined {
  const name = file?.helpers.get(registry) ?? file?.defaultHelper
  return name === undefined ? undefined : { name, env, deadlineMs: helperDeadlineMs }
}

/** All spellings of the registry's key go, so that none of an older login stays behind. */
function without(auths: JsonObject, registry: string): JsonObject {
  return Object.fromEntries(Object.entries(auths).filter(([key]) => normalizeKey(key) !== registry))
}

async function changeAuths(path: string, change: (auths: JsonObject) => JsonObject): Promise<void> {
  const document = await readCredentialDocument(path) ?? {}
  const auths = document['auths']
  const changed = { ...document, auths: change(isObject(auths) ? auths : {}) }
  await replaceFile(await resolveLink(path), `${JSON.stringify(changed, undefined, '\t')}\n`)
}

/** Where the file really lies: a link in its place is kept and its target replaced. */
async function resolveLink(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return path
    throw error
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  const folder = dirname(path)
  makeFolder(folder, 0o700)
  const temporary = join(folder, `.config-${randomUUID()}`)
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
