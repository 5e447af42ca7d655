import { randomBytes } from 'node:crypto'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createTask } from '../../core/task.ts'
import { TsbuildError } from '../../core/errors.ts'
import { helperPath } from '../../native/index.ts'
import type { ContainerSpec } from '../container-spec.ts'
import { runContainer } from '../run-container.ts'
import type { HostFinding } from './finding.ts'
import { chrootShortcomings, needsChroot } from '../rootless/chroot.ts'
import { broken, missing, offered } from './finding.ts'

/** What the helper ends with when nobody tells it what to do: the proof that it was executed. */
const helperUsage = 2

/** Runs a container on the filesystem of the store, with what a RUN step has, and removes it. */
export async function tryContainer(root: string): Promise<HostFinding> {
  const folder = mkdtempSync(join(nearestFolder(root), '.tsbuild-doctor-'))
  try {
    const { exitCode, notExecuted } = await runContainer(trialSpec(folder), { kind: 'events' }, createTask())
    if (exitCode === helperUsage && needsChroot()) return missing('container', `one ran, isolated by chroot only: ${chrootShortcomings()}`, 'run tsbuild as a plain user of the host, or with CAP_SYS_ADMIN')
    if (exitCode === helperUsage) return offered('container', `one ran over ${folder.slice(0, folder.lastIndexOf('/'))}`)
    return broken('container', `a program that ends with ${helperUsage} ended with ${exitCode}${notExecuted === undefined ? '' : `: ${notExecuted.errnoName}`}`, 'mount the filesystem of the store without noexec')
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error
    return broken('container', error.message, 'see what is missing above; the store has to lie on a filesystem that can be the upper layer of overlay (no NFS, no overlay)')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function nearestFolder(path: string): string {
  return existsSync(path) ? path : nearestFolder(dirname(path))
}

function trialSpec(folder: string): ContainerSpec {
  const [lower, upperdir, workdir] = ['lower', 'upper', 'work'].map((name) => join(folder, name)) as [string, string, string]
  for (const path of [lower, upperdir, workdir]) mkdirSync(path)
  copyFileSync(helperPath, join(lower, 'trial'))
  chmodSync(join(lower, 'trial'), 0o755)
  return {
    id: `doctor-${randomBytes(8).toString('hex')}`,
    rootfs: { kind: 'overlay', lowers: [{ kind: 'directory', path: lower }], upper: { upperdir, workdir }, xattrs: 'user' },
    process: { args: ['/trial'], env: [], cwd: '/', user: { uid: 0, gid: 0, groups: [] } },
    isolation: { hostname: 'doctor', network: { mode: needsChroot() ? 'host' : 'none' } },
    executor: { kind: needsChroot() ? 'chroot' : 'helper' },
    mounts: [],
    limits: {},
    privilege: {},
  }
}
