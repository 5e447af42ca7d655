import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { useCommand } from '../support/command.ts'
import type { DockerRegistry } from '../support/docker-registry.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import type { GitServer } from '../support/git-server.ts'
import { commitFiles, startGitServer } from '../support/git-server.ts'
import { readPod } from '../support/kubernetes.ts'
import type { PlainUser } from '../support/plain-user.ts'
import { createPlainUser, writeBusyboxTar } from '../support/plain-user.ts'

const command = useCommand('kubernetes')
let registry: DockerRegistry
let git: GitServer
let user: PlainUser

beforeAll(async () => {
  registry = await startDockerRegistry({ directory: join(command.folder, 'registry') })
  user = createPlainUser()
  user.write('registries.conf', `[[registry]]\nlocation = "${registry.host}"\ninsecure = true\n`)
  const base = `${registry.host}/base:1`
  expect(user.run('import', writeBusyboxTar(user), base).exitCode).toBe(0)
  expect(user.run('push', base).exitCode).toBe(0)
  commitFiles(join(command.folder, 'git/apps/app.git'), { Dockerfile: `FROM ${base}\nRUN id -u >/built-by && sleep 0.1\nCOPY file /file\nRUN chown 5:6 /file\n`, file: 'from git' })
  git = await startGitServer(join(command.folder, 'git'))
})

afterAll(async () => {
  user[Symbol.dispose]()
  await git[Symbol.asyncDispose]()
  await registry[Symbol.asyncDispose]()
})

const volume = (): string => join(command.folder, 'volume')

/** The job's command as it stands, by a user without privileges and as a pod confines it, with the hosts that are here. */
function runJob(): { readonly exitCode: number | null; readonly stderr: string; readonly executed: number } {
  const [container] = readPod('build-job.yaml').containers
  const [program, ...args] = container?.command ?? []
  expect(program).toBe('tsbuild')
  // The volume is not the user's, so the store is a folder of it.
  expect(container?.env).toContainEqual({ name: 'TSBUILD_ROOT', value: '/store/tsbuild' })
  const here = args.map((arg) => arg.replaceAll('registry.example.com', registry.host).replace('https://git.example.com', git.url))
  expect(here.join(' ')).not.toContain('example.com')
  const { exitCode, stderr } = user.runInPod(volume(), ...here)
  return { exitCode, stderr, executed: stderr.match(/^#\d+ DONE/gmu)?.length ?? 0 }
}

it('the job of packaging/kubernetes builds rootless, and the next pod, whose store is empty, finds every step in the registry', () => {
  const first = runJob()
  expect(first.exitCode, first.stderr).toBe(0)
  expect(first.executed, first.stderr).toBeGreaterThanOrEqual(3)
  rmSync(volume(), { recursive: true })
  const second = runJob()
  expect(second.exitCode, second.stderr).toBe(0)
  expect(second.executed, second.stderr).toBe(0)
  expect(statSync(join(volume(), 'tsbuild')).uid).toBe(user.uid)
  expect(user.runInPod(volume(), 'run', '--network', 'none', `${registry.host}/apps/app:latest`, 'sh', '-c', 'cat /built-by /file; stat -c " %u:%g" /file').stdout).toBe('0\nfrom git 5:6\n')
  expect(readdirSync(join(command.folder, 'registry/storage/docker/registry/v2/repositories')).sort()).toEqual(['apps', 'base', 'cache'])
})

it('the collection of packaging/kubernetes runs in a store that jobs share', () => {
  const [, ...args] = readPod('gc-cronjob.yaml').containers[0]?.command ?? []
  const { exitCode, stdout, stderr } = command.run(...args)
  expect([0, 1], stderr).toContain(exitCode)
  expect(JSON.parse(stdout)).toBeTypeOf('object')
})
