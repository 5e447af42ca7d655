/** A certificate authority of the test's own, made by openssl. */
import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

export interface Certificate { readonly key: string; readonly cert: string; readonly keyPath: string; readonly certPath: string }

export interface Authority {
  readonly certificate: string
  readonly path: string
  /** For these names (`DNS:x`, `IP:y`); `days` of -1 has expired. */
  issue(name: string, options: { names: readonly string[]; days?: number }): Promise<Certificate>
}

export async function createAuthority(directory: string, name: string): Promise<Authority> {
  await mkdir(directory, { recursive: true })
  const path = (file: string): string => join(directory, `${name}-${file}`)
  await run('openssl', ['req', '-x509', ...newKey, '-keyout', path('ca.key'), '-out', path('ca.crt'), '-subj', `/CN=${name}`, '-days', '2'])
  return {
    certificate: await readFile(path('ca.crt'), 'utf8'),
    path: path('ca.crt'),
    issue: async (subject, { names, days = 1 }) => {
      const [key, request, certificate] = ['key', 'csr', 'crt'].map((ending) => path(`${subject}.${ending}`)) as [string, string, string]
      await run('openssl', ['req', ...newKey, '-keyout', key, '-out', request, '-subj', `/CN=${subject}`, ...(names.length === 0 ? [] : ['-addext', `subjectAltName=${names.join(',')}`])])
      await run('openssl', ['x509', '-req', '-in', request, '-CA', path('ca.crt'), '-CAkey', path('ca.key'), '-CAcreateserial', '-days', String(days), '-copy_extensions', 'copy', '-out', certificate])
      return { key: await readFile(key, 'utf8'), cert: await readFile(certificate, 'utf8'), keyPath: key, certPath: certificate }
    },
  }
}

/** Writes what `certs.d` holds for one host. */
export async function trust(directory: string, host: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(join(directory, host), { recursive: true })
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, host, name), text)
}
