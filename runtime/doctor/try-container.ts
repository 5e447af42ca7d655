import { randomBytes } from 'node:crypto'
import { chmodSync, copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createTask } from '../../core/task.ts'
import { TsbuildError } from '../../core/errors.ts'
import { helperPath } from '../../native/index.ts'
import type { ContainerSpec, Rootfs } from '../container-spec.ts'
import { runContainer } from '../run-container.ts'
import type { HostFinding } from './finding.ts'
import { chrootShortcomings, needsChroot } from '../rootless/chroot.ts'
import { broken, missing, offered } from './finding.ts'

/** What the helper ends with when nobody tells it what to do: the proof that it was executed. */
const helperUsage = 2

/** What the root filesystems of RUN steps are, and which program mounts those, if not the kernel. */
interface RootfsForm {
  readonly kind: Rootfs['kind']
  readonly program: string | undefined
}

/** Runs a container in a folder on the filesystem of the store, on a root filesystem as RUN steps there have it. */
export async function tryContainer(folder: string, form: RootfsForm): Promise<HostFinding> {
  try {
    const { exitCode, notExecuted } = await runContainer(trialSpec(folder, form), { kind: 'events' }, createTask())
    if (exitCode === helperUsage && needsChroot()) return missing('container', `one ran, isolated by chroot only: ${chrootShortcomings()}`, 'run tsbuild as a plain user of the host, or with CAP_SYS_ADMIN')
    if (exitCode === helperUsage) return offered('container', `one ran over ${folder.slice(0, folder.lastIndexOf('/'))}`)
    return broken('container', `a program that ends with ${helperUsage} ended with ${exitCode}${notExecuted === undefined ? '' : `: ${notExecuted.errnoName}`}`, 'mount the filesystem of the store without noexec')
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error
    return broken('container', error.message, 'see what is missing above; set TSBUILD_STORAGE_DRIVER=vfs if the filesystem of the store cannot be the upper layer of overlay')
  }
}

function trialSpec(folder: string, { kind, program }: RootfsForm): ContainerSpec {
  const [lower, upperdir, workdir] = ['lower', 'upper', 'work'].map((name) => join(folder, name)) as [string, string, string]
  for (const path of [lower, upperdir, workdir]) mkdirSync(path)
  copyFileSync(helperPath, join(lower, 'trial'))
  chmodSync(join(lower, 'trial'), 0o755)
  return {
    id: `doctor-${randomBytes(8).toString('hex')}`,
    rootfs: kind === 'directory' ? { kind, path: lower } : { kind, lowers: [{ kind: 'directory', path: lower }], upper: { upperdir, workdir }, xattrs: 'user', ...(program === undefined ? {} : { program }) },
    process: { args: ['/trial'], env: [], cwd: '/', user: { uid: 0, gid: 0, groups: [] } },
    isolation: { hostname: 'doctor', network: { mode: needsChroot() ? 'host' : 'none' } },
    executor: { kind: needsChroot() ? 'chroot' : 'helper' },
    mounts: [],
    limits: {},
    privilege: {},
  }
}
