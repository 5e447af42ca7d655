import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { InvalidConfiguration } from '../errors.ts'
import type { Environment } from './environment.ts'
import { belowHome } from './environment.ts'

/** What a `certs.d` folder holds for one host, as PEM. */
export interface HostCertificates {
  readonly authorities: readonly string[]
  readonly client: { readonly certificate: string; readonly key: string } | undefined
}

const none: HostCertificates = { authorities: [], client: undefined }

/** The folders that hold a folder for each `host:port`, the user's first. @see containers-certs.d(5) */
export function certificateDirectories(env: Environment): readonly string[] {
  const users = belowHome(env, '.config', 'containers', 'certs.d')
  return [...(users === undefined ? [] : [users]), '/etc/containers/certs.d', '/etc/docker/certs.d']
}

/**
 * The certificates for exactly this host and port, from the first directory that has a folder for it: `*.crt` are
 * authorities, `*.cert` with `*.key` of the same name the client's own.
 * @throws {InvalidConfiguration}
 */
export async function findCertificates(directories: readonly string[], host: string): Promise<HostCertificates> {
  if (/^\.+$/u.test(host)) return none
  // Addresses leave the usual port out, names of registries and so of folders need not.
  const names = /:\d+$/u.test(host) ? [host] : [host, `${host}:443`]
  for (const folder of directories.flatMap((directory) => names.map((name) => join(directory, name)))) {
    const files = await listFolder(folder)
    if (files !== undefined) return readFolder(folder, files)
  }
  return none
}

async function listFolder(folder: string): Promise<string[] | undefined> {
  try {
    return (await readdir(folder)).sort()
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    if (isErrno(error, 'EACCES', 'EPERM')) throw new InvalidConfiguration(folder, { text: `cannot be read: ${error.code}` })
    throw error
  }
}

async function readFolder(folder: string, names: readonly string[]): Promise<HostCertificates> {
  const read = (name: string): Promise<string> => readText(join(folder, name))
  const keys = names.filter((name) => name.endsWith('.key'))
  const certificates = names.filter((name) => name.endsWith('.cert'))
  const lonely = keys.find((name) => !certificates.includes(name.replace(/\.key$/u, '.cert')))
    ?? certificates.find((name) => !keys.includes(name.replace(/\.cert$/u, '.key')))
  if (lonely !== undefined) throw new InvalidConfiguration(join(folder, lonely), { text: 'is half of a pair: a client certificate is NAME.cert and NAME.key' })
  const [certificate] = certificates
  return {
    authorities: await Promise.all(names.filter((name) => name.endsWith('.crt')).map(read)),
    client: certificate === undefined ? undefined : { certificate: await read(certificate), key: await read(certificate.replace(/\.cert$/u, '.key')) },
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES', 'EPERM', 'EISDIR')) throw new InvalidConfiguration(path, { text: `cannot be read: ${error.code}` })
    throw error
  }
}
