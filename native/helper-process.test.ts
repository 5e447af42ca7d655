import { closeSync, fchmodSync, fstatSync, openSync, readdirSync, readlinkSync, writeSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { isErrno } from '../core/errors.ts'
import { HelperFailure } from './errors.ts'
import { startHelper } from './helper-process.ts'
import type { HelperReport } from './helper-process.ts'
import { WireWriter } from './wire.ts'

const probeRequest = new WireWriter().u32(255).finish()

describe('startHelper', () => {
  it('gives the helper the descriptors asked for and no other', async () => {
    const held = Array.from({ length: 40 }, () => openSync('/', 'r'))
    const reports: HelperReport[] = []
    const [first = -1] = held
    const exit = await startHelper({ mode: 'probe', request: probeRequest, stdio: [-1, -1, -1], fds: [first] }, (report) => reports.push(report)).ended
    for (const fd of held) closeSync(fd)
    expect(exit).toEqual({ exitCode: 0, signal: undefined })
    expect(reports.map((report) => report.payload[0])).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('runs it from a copy that nobody has touched', async () => {
    const copies = (): string[] => readdirSync('/proc/self/fd').filter((fd) => readLinkIfThere(`/proc/self/fd/${fd}`)?.startsWith('/memfd:tsbuild') === true)
    const start = async (): Promise<unknown> => startHelper({ mode: 'probe', request: probeRequest, stdio: [-1, -1, -1] }, () => undefined).ended
    await start()
    const [copy = ''] = copies()
    const inode = fstatSync(Number(copy)).ino
    await start()
    expect(fstatSync(Number(copy)).ino).toBe(inode)
    fchmodSync(Number(copy), 0o755)
    await start()
    expect(copies().map((fd) => fstatSync(Number(fd)).ino)).not.toContain(inode)
    expect(() => writeSync(Number(copies()[0]), 'x')).toThrow(expect.objectContaining({ code: 'EPERM' }))
  })

  it('turns a reported failure into an error with stage and errno', async () => {
    const broken = startHelper({ mode: 'probe', request: new WireWriter().u32(1).u8(9).finish(), stdio: [-1, -1, -1] }, () => undefined)
    await expect(broken.ended).rejects.toMatchObject({ code: 'NATIVE_HELPER_FAILURE', stage: 1, errnoName: 'EBADMSG', object: 'probe' })
    await expect(broken.ended).rejects.toBeInstanceOf(HelperFailure)
  })

  it('refuses a mode it does not have', async () => {
    const process = startHelper({ mode: 'no such mode', request: probeRequest, stdio: [-1, -1, -1] }, () => undefined)
    await expect(process.ended).rejects.toMatchObject({ errnoName: 'EINVAL', object: 'no such mode' })
  })
})

function readLinkIfThere(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
