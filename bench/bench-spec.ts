import { randomBytes } from 'node:crypto'
import type { ContainerSpec, Rootfs } from '../runtime/index.ts'

/** A container as a RUN step without network has it. */
export function benchSpec({ args, rootfs }: { readonly args: readonly string[]; readonly rootfs: Rootfs }): ContainerSpec {
  return {
    id: `bench-${randomBytes(8).toString('hex')}`,
    rootfs,
    process: { args, env: ['PATH=/bin'], cwd: '/', user: { uid: 0, gid: 0, groups: [] } },
    isolation: { hostname: 'bench', network: { mode: 'none' } },
    mounts: [],
    limits: {},
    privilege: {},
  }
}
