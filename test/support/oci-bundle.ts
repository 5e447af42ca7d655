import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Workspace } from './workspace.ts'

export type Fields = Readonly<Record<string, unknown>>
export interface Config { readonly process?: Fields; readonly linux?: Fields; readonly mounts?: readonly Fields[]; readonly top?: Fields }

export const capabilities = (...names: readonly string[]): Fields => ({ bounding: names, effective: names, permitted: names })
const mounts: readonly Fields[] = [
  { destination: '/proc', type: 'proc', source: 'proc' },
  { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
  { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'] },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['nosuid', 'ro'] },
]

/** A bundle whose process runs this script, with parts of config.json replaced. */
export function makeBundle({ workspace, rootfs }: { readonly workspace: Workspace; readonly rootfs: string }, script: string, { process = {}, linux = {}, mounts: more = [], top = {} }: Config = {}): string {
  const bundle = workspace.makeFolder()
  writeFileSync(join(bundle, 'config.json'), JSON.stringify({
    ociVersion: '1.0.2',
    root: { path: rootfs, readonly: true },
    hostname: 'bundled',
    process: { user: { uid: 0, gid: 0 }, args: ['/bin/sh', '-c', script], env: ['PATH=/bin'], cwd: '/', capabilities: capabilities('CAP_KILL'), ...process },
    mounts: [...mounts, ...more],
    linux: { namespaces: ['pid', 'network', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({ type })), ...linux },
    ...top,
  }))
  return bundle
}
