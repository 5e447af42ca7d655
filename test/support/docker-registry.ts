/** Debian's docker-registry on a free port of this machine, with its storage in a directory of the test's. */
import { spawn } from 'node:child_process'
import { mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface DockerRegistry extends AsyncDisposable {
  /** 127.0.0.1 and the port. */
  readonly host: string
}

export interface DockerRegistryOptions {
  /** Made if need be; holds configuration and storage. */
  readonly directory: string
  readonly allowsDeletion?: boolean
  readonly tls?: { readonly certPath: string; readonly keyPath: string }
  readonly auth?:
    | { readonly kind: 'htpasswd'; readonly path: string }
    | { readonly kind: 'token'; readonly realm: string; readonly service: string; readonly issuer: string; readonly authorityPath: string }
}

export async function startDockerRegistry(options: DockerRegistryOptions): Promise<DockerRegistry> {
  const { directory } = options
  await mkdir(directory, { recursive: true })
  const path = join(directory, 'registry.json')
  // The configuration is YAML, of which JSON is a part.
  await writeFile(path, JSON.stringify({
    version: 0.1,
    log: { level: 'info', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(directory, 'storage') }, delete: { enabled: options.allowsDeletion === true } },
    http: { addr: '127.0.0.1:0', ...(options.tls === undefined ? {} : { tls: { certificate: options.tls.certPath, key: options.tls.keyPath } }) },
    ...authConfig(options.auth),
  }))
  // To a file: nobody reads a pipe while a test waits for a process, and a registry whose pipe is full waits too.
  const log = join(directory, 'log')
  const output = await open(log, 'w')
  const server = spawn('docker-registry', ['serve', path], { stdio: ['ignore', 'ignore', output.fd], env: { PATH: process.env['PATH'], OTEL_TRACES_EXPORTER: 'none' } })
  const ended = new Promise<void>((resolve) => { server.on('close', () => { resolve() }) })
  const failed = new Promise<never>((_, reject) => { server.on('error', (error) => { reject(new Error('cannot start docker-registry; install the package docker-registry', { cause: error })) }) })
  const host = await Promise.race([failed, findAddress(log, () => server.exitCode !== null)]).finally(() => output.close())
  return {
    host,
    [Symbol.asyncDispose]: async () => {
      server.kill('SIGKILL')
      await ended
    },
  }
}

async function findAddress(log: string, hasEnded: () => boolean): Promise<string> {
  for (;;) {
    const isOver = hasEnded()
    const text = await readFile(log, 'utf8')
    const address = /listening on (127\.0\.0\.1:\d+)/u.exec(text)?.[1]
    if (address !== undefined) return address
    if (isOver) throw new Error(`docker-registry ended:\n${text}`)
    await sleep(10)
  }
}

function authConfig(auth: DockerRegistryOptions['auth']): object {
  switch (auth?.kind) {
    case undefined: return {}
    case 'htpasswd': return { auth: { htpasswd: { realm: 'test', path: auth.path } } }
    case 'token': return { auth: { token: { realm: auth.realm, service: auth.service, issuer: auth.issuer, rootcertbundle: auth.authorityPath } } }
  }
}
