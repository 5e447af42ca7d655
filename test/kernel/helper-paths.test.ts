import { closeSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { getAddon, startHelper, WireWriter } from '../../native/index.ts'
import type { ContainerCgroup } from '../../runtime/cgroup/container-cgroup.ts'
import { findHierarchies } from '../../runtime/cgroup/hierarchies.ts'
import type { ContainerReport } from '../../runtime/helper-protocol.ts'
import { decodeReport, encodeRequest } from '../../runtime/helper-protocol.ts'
import type { Mount, UpperDirs } from '../../runtime/container-spec.ts'
import type { HostSupport } from '../../runtime/host-support.ts'
import { probeHost } from '../../runtime/host-support.ts'
import { readOutput } from '../../runtime/output.ts'
import { makeSpec } from '../support/container.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const busybox = workspace.makeBusyboxLayer()
afterAll(() => { workspace[Symbol.dispose]() })

const noCgroup: ContainerCgroup = { groups: [], readUsage: () => ({}), remove: () => undefined }

interface Circumstances {
  readonly host?: HostSupport
  readonly cgroup?: ContainerCgroup
  readonly lowers?: readonly string[]
  readonly upper?: UpperDirs
  readonly mounts?: readonly Mount[]
}

/** Asks the helper what runContainer would ask it in other circumstances: what the script wrote, and the reports. */
async function runThere(script: string, { host = probeHost(), cgroup = noCgroup, lowers = [], upper = workspace.makeUpper(), mounts = [] }: Circumstances): Promise<{ readonly stdout: string; readonly reports: readonly ContainerReport[] }> {
  const rootfs = { kind: 'overlay', lowers: [...lowers, busybox].map((path) => ({ kind: 'directory', path }) as const), upper, xattrs: 'trusted' } as const
  const request = encodeRequest({ spec: makeSpec({ args: ['/bin/sh', '-c', script], rootfs, mounts }), stdio: 'events', cgroup, host })
  const [readFd, writeFd] = getAddon().pipe(0)
  let stdout = ''
  const reports: ContainerReport[] = []
  const helper = startHelper({ mode: 'run', request, stdio: [-1, writeFd, writeFd] }, (report) => reports.push(decodeReport(report)))
  closeSync(writeFd)
  const output = readOutput(readFd, 'stdout', (event) => { stdout += Buffer.from(event.bytes).toString() })
  await helper.ended
  output.finish()
  return { stdout, reports }
}

describe('on a kernel before 6.8', () => {
  const host: HostSupport = { ...probeHost(), kernel: { release: '6.1.0', major: 6, minor: 1 } }

  it('the root is mounted with one page of options', async () => {
    const { stdout } = await runThere('grep -c " / / " /proc/self/mountinfo; echo x > /made; cat /made; ls -A / | tr "\\n" " "', { host })
    expect(stdout).toBe('1\nx\nbin dev made proc sys ')
  })

  it('mount points below a folder with attributes of users are made all the same, and a layer of it keeps them', async () => {
    const layer = workspace.makeFolder()
    mkdirSync(join(layer, 'etc'))
    workspace.setAttribute(join(layer, 'etc'), 'user.mine', 'kept')
    const upper = workspace.makeUpper()
    const { stdout } = await runThere('ls /etc; cat /etc/deep/hosts; touch /etc/made', { host, lowers: [layer], upper, mounts: [{ kind: 'file', target: '/etc/deep/hosts', content: Buffer.from('names\n'), mode: 0o644, uid: 0, gid: 0 }] })
    expect(stdout).toBe('deep\nnames\n')
    expect(workspace.describe(upper.upperdir).filter((line) => line.startsWith('./etc '))).toEqual([expect.stringContaining('user.mine')])
    expect(readdirSync(dirname(upper.workdir)).sort()).toEqual(['stub-0', 'upper', 'work'])
    expect(readdirSync(join(upper.upperdir, 'etc'))).toEqual(['made'])
  })

  it('that page has room for hundreds of layers', async () => {
    const lowers = Array.from({ length: 400 }, (_, index) => {
      const folder = workspace.makeFolder()
      writeFileSync(join(folder, `file-${index}`), '')
      return folder
    })
    expect((await runThere('ls / | grep -c file-', { host, lowers })).stdout).toBe('400\n')
  })
})

describe('in a v2 hierarchy', () => {
  it('the process is born in its group, sees it as the root, and read-only', async () => {
    const hierarchy = findHierarchies().find((found) => found.kind === 'v2')
    if (hierarchy === undefined) throw new Error('no v2 hierarchy is mounted')
    const folder = join(hierarchy.ownGroup, 'tsbuild-test-v2')
    mkdirSync(folder)
    try {
      const cgroup: ContainerCgroup = { ...noCgroup, groups: [{ hierarchy, folder }] }
      const { stdout } = await runThere('sed -n "s/^0:://p" /proc/self/cgroup /proc/1/cgroup; cat /sys/fs/cgroup/cgroup.procs | head -1; mkdir /sys/fs/cgroup/x 2> /dev/null || echo read-only', { cgroup })
      expect(stdout).toBe('/\n/..\n2\nread-only\n')
      expect(readFileSync(join(folder, 'cgroup.procs'), 'utf8')).toBe('')
    } finally {
      rmdirSync(folder)
    }
  })
})

describe('a request that is none', () => {
  const answer = async (request: Uint8Array): Promise<unknown> => startHelper({ mode: 'run', request, stdio: [-1, -1, -1] }, () => undefined).ended.catch((error: unknown) => error)

  it('is refused whole, cut anywhere', async () => {
    const rootfs = { kind: 'overlay', lowers: [{ kind: 'directory', path: busybox }], upper: undefined, xattrs: 'trusted' } as const
    const request = encodeRequest({ spec: makeSpec({ args: ['/bin/true'], rootfs }), stdio: 'events', cgroup: noCgroup, host: probeHost() })
    for (let length = 4; length < request.byteLength; length += 7) {
      expect(await answer(request.subarray(0, length))).toMatchObject({ stage: 1, errnoName: 'EBADMSG' })
    }
    expect(await answer(Buffer.concat([request, Uint8Array.of(0)]))).toMatchObject({ stage: 1, errnoName: 'EBADMSG' })
  })

  it('is refused with counts beyond its length', async () => {
    expect(await answer(new WireWriter().u8(0).u32(2 ** 32 - 1).finish())).toMatchObject({ stage: 1, errnoName: 'EBADMSG' })
  })

  it('is refused with a value that no enumeration has', async () => {
    expect(await answer(new WireWriter().u8(9).finish())).toMatchObject({ stage: 1, errnoName: 'EBADMSG' })
  })
})
