/** A home folder of a test's own, with what programs for containers keep there. */
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import type { Credential } from '../../registry-client/config/credential-file.ts'
import { loadCredentials } from '../../registry-client/config/credentials.ts'
import { recordingTask } from './task.ts'

export class Home {
  path = ''
  env: { HOME: string; PATH: string } = { HOME: '', PATH: '' }

  /** @returns the file's path */
  async write(path: string, content: unknown): Promise<string> {
    const full = join(this.path, path)
    await mkdir(dirname(full), { recursive: true })
    await writeFile(full, typeof content === 'string' ? content : JSON.stringify(content))
    return full
  }

  writeDockerConfig(content: unknown): Promise<string> {
    return this.write('.docker/config.json', content)
  }

  /** A credential helper that is a shell script. */
  async writeHelper(name: string, script: string): Promise<void> {
    await chmod(await this.write(`bin/docker-credential-${name}`, `#!/bin/sh\n${script}\n`), 0o755)
  }

  /** What is known for a registry, in words. */
  async findCredential(registry: string, repository = 'library/app'): Promise<unknown> {
    return reveal(await (await loadCredentials(this.env)).find({ registry, repository }, recordingTask()))
  }
}

/** A new one for each test. */
export function useHome(): Home {
  const home = new Home()
  beforeEach(async () => {
    home.path = await mkdtemp(join(tmpdir(), 'tsbuild-test-home-'))
    home.env = { HOME: home.path, PATH: `${join(home.path, 'bin')}:${process.env['PATH'] ?? ''}` }
  })
  afterEach(async () => { await rm(home.path, { recursive: true }) })
  return home
}

function reveal(credential: Credential | undefined): unknown {
  if (credential === undefined) return undefined
  return credential.kind === 'password' ? `${credential.username}:${credential.password.reveal()}` : `${credential.kind} ${credential.token.reveal()}`
}
