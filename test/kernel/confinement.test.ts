import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, globSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { beforeAll, describe, expect, it } from 'vitest'
import { WireWriter, writeLower } from '../../native/index.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const folder = useTemporaryFolder('confinement')
const root = join(import.meta.dirname, '..', '..')
const helper = join(folder, 'helper')
const [own, below, tar, index] = ['own', 'below', 'layer.tar', 'index'].map((name) => join(folder, name)) as [string, string, string, string]

beforeAll(() => {
  const sources = join(root, 'native', 'helper')
  const files = [...globSync('**/*.c', { cwd: sources }).map((name) => join(sources, name)), join(root, 'test', 'support', 'hostile-parser.c')]
  execFileSync('cc', ['-std=gnu17', '-O0', '-D_GNU_SOURCE', '-D_FILE_OFFSET_BITS=64', '-I', sources, '-Wl,--wrap=tar_next', '-o', helper, ...files])
  for (const path of [own, below]) mkdirSync(path)
  writeFileSync(tar, Buffer.alloc(1024))
}, 120_000)

interface Attempts {
  readonly got: string[]
  /** As the kernel tells of the process, while it is confined. */
  readonly status: Readonly<Record<string, string>>
  readonly mounts: string[]
}

/** The helper with code of somebody else's where it reads the archive. */
async function attack(mode: string, request: WireWriter): Promise<Attempts> {
  const path = join(folder, `${mode}-request`)
  writeFileSync(path, request.finish())
  const fd = openSync(path, 'r')
  const child = spawn(helper, [mode, String(process.pid), '0'], { stdio: ['pipe', 'pipe', 'inherit', fd, 'ignore'] })
  closeSync(fd)
  const got: string[] = []
  const { stdin, stdout, pid = 0 } = child
  if (stdin === null || stdout === null) throw new Error('the helper has no pipes')
  for await (const line of createInterface(stdout)) {
    if (line === 'done') break
    got.push(line)
  }
  const about = (file: string): string => readFileSync(`/proc/${pid}/${file}`, 'utf8')
  const status = Object.fromEntries(about('status').split('\n').map((line): [string, string] => { const [key = '', value = ''] = line.split(':\t'); return [key, value] }))
  const mounts = about('mountinfo').trim().split('\n')
  stdin.end()
  await once(child, 'close')
  return { got, status, mounts }
}

/** Of what is given as a request ends in both modes. */
function limits(writer: WireWriter): WireWriter {
  return writer.u64(1n << 30n).u32(60).flag(true).list([below], (path) => { writeLower(writer, { kind: 'directory', path }) })
}

describe('whoever runs code in the reader of an archive', () => {
  it('that is unpacked gets at the layer alone: no file, process, socket, program or mount of the host', async () => {
    const { got, status, mounts } = await attack('unpack', limits(new WireWriter().bytes(own).flag(false).flag(true)))
    expect(got).toEqual(['layer below: read-only', 'own directory: written', 'device: made, not opened'])
    // CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, SYS_ADMIN, MKNOD, SETFCAP.
    const capabilities = '000000008820001f'.padStart(16, '0')
    expect(status).toMatchObject({ CapEff: capabilities, CapPrm: capabilities, CapBnd: capabilities, CapInh: '0000000000000000', CapAmb: '0000000000000000', NoNewPrivs: '1', Seccomp: '2' })
    expect(mounts).toHaveLength(1)
    expect(existsSync(join(below, 'made'))).toBe(false)
  })

  it('that is indexed gets at nothing', async () => {
    const { got, status, mounts } = await attack('index', limits(new WireWriter().bytes(tar).bytes(index).bytes(Buffer.alloc(16)).flag(true)))
    expect(got).toEqual(['layer below: read-only', 'device: not made'])
    expect(status).toMatchObject({ CapEff: '0000000000200004', CapPrm: '0000000000200004', CapBnd: '0000000000200004', NoNewPrivs: '1', Seccomp: '2' })
    expect(mounts).toHaveLength(1)
    expect(existsSync(join(below, 'made'))).toBe(false)
  })
})
