import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { probeHost } from '../../runtime/index.ts'
import type { LowerLayer, Store } from '../../storage/index.ts'
import type { ContainerParts } from '../support/container.ts'
import { runScript } from '../support/container.ts'
import { useStores } from '../support/stores.ts'
import { task } from '../support/streams.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'
import { Workspace } from '../support/workspace.ts'

const folder = useTemporaryFolder('kept-mounts')
const stores = useStores(folder, 'overlay', 'overlay')
const workspace = new Workspace()
afterAll(() => { workspace[Symbol.dispose]() })
const busybox: LowerLayer = { kind: 'directory', path: workspace.makeBusyboxLayer() }

/** Older kernels clone no mount that is attached nowhere. */
const { major, minor } = probeHost().kernel
const keepsMounts = major > 6 || (major === 6 && minor >= 15)

interface Ran {
  readonly lines: readonly string[]
  /** What the kernel made when the overlay was mounted, and when; undefined when it is not there any more. */
  readonly mountedMs: number | undefined
  readonly inodes: number
}

/** One step on nothing but what is given. */
async function step(store: Store, script: string, { lowers = [busybox], ...parts }: Omit<ContainerParts, 'args' | 'rootfs'> & { readonly lowers?: readonly LowerLayer[] } = {}): Promise<Ran> {
  await using snapshot = await store.layers.prepare(undefined)
  if (snapshot.rootfs.kind !== 'overlay') throw new TypeError('the store makes overlays')
  const { rootfs } = snapshot
  const lines = await runScript(script, { ...parts, rootfs: { ...rootfs, lowers } })
  const { inodes } = await snapshot.commit(task)
  const made = join(rootfs.upper?.workdir ?? '', 'work')
  return { lines, mountedMs: existsSync(made) ? statSync(made).ctimeMs : undefined, inodes }
}

it('serves steps that change nothing', async () => {
  const store = await stores.open()
  const first = await step(store, 'true')
  expect(first.mountedMs !== undefined).toBe(keepsMounts)
  expect(await step(store, 'true')).toEqual(first)
})

it.each(['chmod 777 /', 'chown 1:2 /', 'touch -d 2020-01-01 /', 'echo x > /file && rm /file', 'mkdir /folder && rmdir /folder'])('is gone after %s, of which the next step sees nothing', async (script) => {
  const store = await stores.open()
  const look = 'stat -c "%a %u %g" /; ls /'
  const { lines } = await step(store, look)
  expect(await step(store, script)).toMatchObject({ mountedMs: undefined, inodes: 0 })
  const after = await step(store, `${look}; [ $(stat -c %Y /) -gt 1700000000 ]`)
  expect(after.lines).toEqual(lines)
})

it('is gone after a step that leaves something', async () => {
  const store = await stores.open()
  await step(store, 'true')
  expect(await step(store, 'echo x > /file')).toMatchObject({ mountedMs: undefined, inodes: 2 })
  expect((await step(store, 'ls /')).lines).not.toContain('file')
})

it('is not for a step with other mount points or other layers', async () => {
  const store = await stores.open()
  const first = await step(store, 'true', { mounts: [{ kind: 'tmpfs', target: '/made', readonly: false }] })
  expect(first.mountedMs !== undefined).toBe(keepsMounts)
  const second = await step(store, 'ls /')
  expect(second.lines).not.toContain('made')
  expect(second.mountedMs === first.mountedMs).toBe(!keepsMounts)
  const other = join(folder, 'other')
  mkdirSync(other)
  writeFileSync(join(other, 'another'), '')
  const third = await step(store, 'ls /', { lowers: [{ kind: 'directory', path: other }, busybox] })
  expect(third.lines).toContain('another')
  expect((await step(store, 'ls /')).lines).not.toContain('another')
})

it('keeps what an earlier container did in the same snapshot', async () => {
  const store = await stores.open()
  await using snapshot = await store.layers.prepare(undefined)
  if (snapshot.rootfs.kind !== 'overlay') throw new TypeError('the store makes overlays')
  const rootfs = { ...snapshot.rootfs, lowers: [busybox] }
  await runScript('echo x > /file', { rootfs })
  expect(await runScript('cat /file', { rootfs })).toEqual(['x'])
  expect((await snapshot.commit(task)).inodes).toBe(2)
})

it('is not for a step that may change mounts', async () => {
  const store = await stores.open()
  await step(store, 'true')
  const script = 'mount -o remount,ro / && ! touch /x'
  expect(await step(store, script, { privilege: { isPrivileged: true } })).toMatchObject({ mountedMs: undefined, inodes: 0 })
  expect((await step(store, 'touch /x')).inodes).toBe(2)
})
