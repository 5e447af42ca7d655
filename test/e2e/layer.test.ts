import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const folder = useTemporaryFolder('layer')
const registries = join(folder, 'registries.conf')
writeFileSync(registries, '')
const tsbuild = useCommand('layer', { env: { CONTAINERS_REGISTRIES_CONF: registries } })

interface Item { readonly path: string; readonly kind: string; readonly bytes: number; readonly inodes: number; readonly layer: number; readonly hiddenBy: number }
interface Waste { readonly items: readonly Item[]; readonly bytes: number; readonly inodes: number; readonly totalBytes: number }
const json = (...args: readonly string[]): unknown => JSON.parse(tsbuild.must('layer', ...args, '--json'))

const dockerfile = `FROM busybox
RUN mkdir -p /data/sub && head -c 100000 /dev/zero >/data/big && echo one >/data/text && echo x >/data/sub/a && ln /data/text /data/link
RUN chmod 600 /data/big
RUN echo two >/data/text && rm -r /data/sub
RUN mkdir /data/sub && echo y >/data/sub/b
`

beforeAll(() => {
  importBusybox(tsbuild)
  tsbuild.must('-q', '-t', 'app:1', tsbuild.context('app', { Dockerfile: dockerfile }))
  tsbuild.must('save', '-o', join(tsbuild.folder, 'app.tar'), 'app:1')
  tsbuild.must('save', '--format', 'docker-archive', '-o', join(tsbuild.folder, 'docker.tar'), 'app:1')
  tsbuild.must('save', '--format', 'oci-dir', '-o', join(tsbuild.folder, 'layout'), 'app:1')
})

describe('layer', () => {
  it('lists what each layer brought, with the step that made it', () => {
    const layers = json('ls', 'app:1', '/data') as { step: string; number: number; entries: { path: string; type: string; mode: number; sizeBytes: number }[] }[]
    expect(layers.map(({ entries }) => entries.map(({ path, type }) => `${type} ${path}`))).toEqual([
      [],
      ['directory /data', 'file /data/big', 'file /data/link', 'directory /data/sub', 'file /data/sub/a', 'hard-link /data/text'],
      ['directory /data', 'file /data/big'],
      ['directory /data', 'whiteout /data/sub', 'file /data/text'],
      ['directory /data', 'directory /data/sub', 'file /data/sub/b'],
    ])
    expect(layers[2]).toMatchObject({ number: 3, step: expect.stringContaining('chmod 600') as string, entries: [{ path: '/data' }, { path: '/data/big', mode: 0o600, sizeBytes: 100_000 }] })
    const text = tsbuild.must('layer', 'ls', '--layer', '3', 'app:1')
    expect(text).toMatch(/^Layer 3, [0-9a-f]{12}: .*chmod 600[^\n]*\n +drwxr-xr-x +0:0 +\/data\n +-rw------- +0:0 +100000 +\/data\/big$/u)
  })

  it('says when no layer has a path, keeps odd names on their lines, and refuses options of another verb', () => {
    expect(tsbuild.run('layer', 'ls', 'app:1', 'nothing')).toEqual({ exitCode: 3, stdout: '', stderr: 'no layer of "app:1" has "nothing"\n' })
    expect(tsbuild.must('layer', 'ls', '--layer', '2', 'app:1', 'data/sub/')).toMatch(/\/data\/sub\/a$/u)
    tsbuild.must('-q', '-t', 'odd:1', tsbuild.context('odd', { Dockerfile: 'FROM busybox\nRUN touch "$(printf \'/one\\nW--------- two\')"\n' }))
    expect(tsbuild.must('layer', 'ls', '--layer', '2', 'odd:1')).toContain('/one\\x0aW--------- two')
    expect(tsbuild.run('layer', 'ls', '--max-bytes', '1', 'app:1')).toMatchObject({ exitCode: 2 })
    expect(tsbuild.run('layer', 'diff', '--layer', '1', 'app:1', 'app:1')).toMatchObject({ exitCode: 2 })
  })

  it('tells why a path is what it is', () => {
    expect(json('why', 'app:1', '/data/big')).toMatchObject([
      { layer: 1, did: 'added', isVisible: false, entry: { mode: 0o644 } },
      { layer: 2, did: 'changed', isVisible: true, entry: { mode: 0o600 }, step: expect.stringContaining('chmod 600') as string },
    ])
    expect(json('why', 'app:1', 'data/sub/a/')).toMatchObject([{ layer: 1, did: 'added' }, { layer: 3, did: 'deleted', step: expect.stringContaining('rm -r') as string }])
    expect(json('why', 'app:1', '/data/sub')).toMatchObject([{ did: 'added' }, { did: 'deleted' }, { did: 'added', isVisible: true, layer: 4 }])
    expect(tsbuild.run('layer', 'why', 'app:1', '/nothing')).toMatchObject({ exitCode: 3 })
  })

  it('finds what is stored in vain, and judges it by budgets', () => {
    const waste = json('waste', 'app:1') as Waste
    expect(waste.items).toMatchObject([
      { path: '/data/big', kind: 'rewritten', bytes: 100_000, layer: 1, hiddenBy: 2 },
      { path: '/data/sub/a', kind: 'deleted', bytes: 2, layer: 1, hiddenBy: 3 },
      { path: '/data/sub', kind: 'deleted', bytes: 0, layer: 1, hiddenBy: 3 },
    ].map((item) => expect.objectContaining(item) as Item))
    expect(waste).toMatchObject({ bytes: 100_002, inodes: 3 })
    expect(tsbuild.run('layer', 'waste', '--max-bytes', '1m', '--max-inodes', '3', '--max-share', '90%', 'app:1')).toMatchObject({ exitCode: 0 })
    for (const budget of [['--max-bytes', '100k'], ['--max-bytes', '50k'], ['--max-inodes', '2'], ['--max-share', '0.001']] as const) {
      expect([budget, tsbuild.run('layer', 'waste', ...budget, 'app:1').exitCode]).toEqual([budget, budget[1] === '100k' ? 0 : 1])
    }
  })

  it('sees the same in the store, in archives, in a layout and in a registry', async () => {
    await using registry = await startDockerRegistry({ directory: join(folder, 'registry') })
    writeFileSync(registries, `[[registry]]\nlocation = "${registry.host}"\ninsecure = true\n`)
    const name = `${registry.host}/app:1`
    tsbuild.must('tag', 'app:1', name)
    tsbuild.must('push', '-q', name)
    tsbuild.must('rmi', name)
    const stored = json('waste', 'app:1')
    for (const source of [join(tsbuild.folder, 'app.tar'), join(tsbuild.folder, 'docker.tar'), join(tsbuild.folder, 'layout'), name]) {
      expect([source, json('waste', source)]).toEqual([source, stored])
      expect([source, json('diff', 'app:1', source)]).toEqual([source, []])
    }
    expect(json('diff', 'busybox', 'app:1')).toMatchObject([{ path: '/data', kind: 'added' }, { path: '/data/big' }, { path: '/data/link' }, { path: '/data/sub' }, { path: '/data/sub/b' }, { path: '/data/text' }])
  })

  it('does not believe a diffID that a config only claims', () => {
    const [layout, forged] = [join(tsbuild.folder, 'layout'), join(tsbuild.folder, 'forged')]
    cpSync(layout, forged, { recursive: true })
    const read = (digest: string): { layers: { digest: string; size: number }[] } => JSON.parse(readFileSync(join(forged, 'blobs', digest.replace(':', '/')), 'utf8')) as { layers: { digest: string; size: number }[] }
    const write = (bytes: Buffer): { digest: string; size: number } => {
      const hex = createHash('sha256').update(bytes).digest('hex')
      writeFileSync(join(forged, 'blobs/sha256', hex), bytes)
      return { digest: `sha256:${hex}`, size: bytes.length }
    }
    const index = JSON.parse(readFileSync(join(forged, 'index.json'), 'utf8')) as { manifests: { digest: string }[] }
    const manifest = read(index.manifests[0]?.digest ?? '')
    const top = manifest.layers.pop()
    writeFileSync(join(tsbuild.folder, 'hidden'), 'hidden')
    const other = write(gzipSync(execFileSync('tar', ['-C', tsbuild.folder, '-c', 'hidden'])))
    manifest.layers.push({ ...top, ...other })
    writeFileSync(join(forged, 'index.json'), JSON.stringify({ ...index, manifests: [{ ...index.manifests[0], ...write(Buffer.from(JSON.stringify(manifest))) }] }))
    expect(json('diff', layout, forged)).toMatchObject([{ path: '/data/sub', kind: 'removed' }, { path: '/data/sub/b', kind: 'removed' }, { path: '/hidden', kind: 'added' }])
  })

  it('is not of another platform than the one asked for', () => {
    const host = process.arch === 'x64' ? 'linux/amd64' : 'linux/arm64'
    for (const source of ['app:1', join(tsbuild.folder, 'app.tar'), join(tsbuild.folder, 'docker.tar'), join(tsbuild.folder, 'layout')]) {
      expect(json('ls', '--platform', host, source)).toHaveLength(5)
      expect(tsbuild.run('layer', 'ls', '--platform', 'linux/s390x', source)).toMatchObject({ stdout: '', stderr: expect.stringMatching(/^error: .*linux\/s390x/u) as string })
    }
  })
})
