import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'
import { usePeerTools } from '../support/peer-tools.ts'

const peers = usePeerTools('skopeo', 'umoci')
const command = useCommand('outputs', { env: { PATH: `${peers.folder}/bin:${process.env['PATH'] ?? ''}` } })
const { context, must, run, folder } = command

const dockerfile = `FROM busybox
RUN mkdir -p /d/e && echo 1 >/d/1 && echo 2 >/d/2 && ln /d/1 /d/l && echo f >/d/e/f
RUN rm /d/2 && echo 3 >/d/3 && rm /bin/yes
RUN rm -r /d/e && mkdir /d/e && touch /d/e/g && ln -s 1 /d/s && chmod 711 /
COPY Dockerfile /copied
`
let app = ''
beforeAll(() => {
  importBusybox(command)
  app = context('app', { Dockerfile: dockerfile })
})

function build(...args: readonly string[]): string {
  return must('build', '-q', '--network', 'none', ...args, app)
}

/** Paths, modes, owners, sizes and link targets below a folder. */
function describeTree(path: string): string {
  return execFileSync('find', ['.', '-mindepth', '1', '-printf', '%P %y %m %U:%G %n %l\n'], { cwd: path, encoding: 'utf8' }).split('\n').sort().join('\n')
}

interface Layout { readonly manifests: readonly { readonly digest: string; readonly platform: object; readonly annotations: Readonly<Record<string, string>> }[] }

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'))
}

describe('build --output', () => {
  it('writes several at once, which other tools read', () => {
    const to = join(peers.folder, 'several')
    mkdirSync(to)
    const metadata = join(folder, 'metadata.json')
    const id = build('-t', 'several:1', '-o', 'type=image', '-o', `type=oci,dest=${to}/oci.tar,compression=zstd,compression-level=9`, '-o', `type=oci,dest=${to}/layout,tar=false,compression-level=9,force-compression=true`, '-o', `type=docker,dest=${to}/docker.tar`,
      '-o', join(folder, 'local'), '-o', `type=tar,dest=${to}/rootfs.tar`, '--annotation', 'a=b', '--annotation', 'manifest-descriptor:c=d', '--metadata-file', metadata)
    for (const from of [`oci-archive:${peers.inside(to)}/oci.tar`, `oci:${peers.inside(to)}/layout`, `docker-archive:${peers.inside(to)}/docker.tar`]) {
      expect(peers.run('skopeo', 'inspect', '--config', from)).toContain('"/bin/sh -c rm /d/2'.slice(1))
    }
    const layout = readJson(join(to, 'layout/index.json')) as Layout
    expect(layout.manifests).toMatchObject([{ platform: { os: 'linux', architecture: expect.any(String) as string }, annotations: { c: 'd', 'org.opencontainers.image.ref.name': '1' } }])
    expect(Object.keys(layout.manifests[0]?.platform ?? {}).sort()).toEqual(['architecture', 'os'])
    const manifest = readJson(join(to, 'layout/blobs/sha256', layout.manifests[0]?.digest.slice(7) ?? '')) as { annotations: object; layers: { mediaType: string }[] }
    expect(manifest.annotations).toEqual({ a: 'b' })
    expect(new Set(manifest.layers.map(({ mediaType }) => mediaType))).toEqual(new Set(['application/vnd.oci.image.layer.v1.tar+gzip']))
    peers.run('umoci', 'unpack', '--image', `${peers.inside(to)}/layout:1`, `${peers.inside(to)}/bundle`)
    mkdirSync(join(folder, 'untarred'))
    execFileSync('tar', ['xpf', join(to, 'rootfs.tar'), '-C', join(folder, 'untarred')])
    const expected = describeTree(join(to, 'bundle/rootfs'))
    expect(expected).toContain('d/l f 644 0:0 2')
    expect(describeTree(join(folder, 'local'))).toBe(expected)
    expect(describeTree(join(folder, 'untarred'))).toBe(expected)
    expect(readJson(metadata)).toMatchObject({ 'containerimage.config.digest': id, 'image.name': 'docker.io/library/several:1' })
  })

  it('makes an index where one is annotated', () => {
    const to = join(folder, 'annotated')
    build('-t', 'annotated:1', '-o', `type=oci,tar=false,dest=${to}`, '--annotation', 'index:a=b', '--annotation', 'c=d')
    const [top] = (readJson(join(to, 'index.json')) as Layout).manifests
    const index = readJson(join(to, 'blobs/sha256', top?.digest.slice(7) ?? '')) as { annotations: object; manifests: { digest: string; platform: object }[] }
    expect(index).toMatchObject({ annotations: { a: 'b' }, manifests: [{ platform: { os: 'linux' } }] })
    expect(readJson(join(to, 'blobs/sha256', index.manifests[0]?.digest.slice(7) ?? ''))).toMatchObject({ annotations: { c: 'd' } })
  })

  it('writes archives to standard output and for docker load, and gives no name to an image that is only written elsewhere', () => {
    mkdirSync(join(peers.folder, 'bin'))
    writeFileSync(join(peers.folder, 'bin/docker'), `#!/bin/sh\ncat >${folder}/loaded.tar; echo "$@" >${folder}/loaded.args\n`)
    chmodSync(join(peers.folder, 'bin/docker'), 0o755)
    build('-t', 'elsewhere:1', '-o', 'type=docker')
    expect(readFileSync(join(folder, 'loaded.args'), 'utf8')).toBe('load\n')
    expect(execFileSync('tar', ['xOf', join(folder, 'loaded.tar'), 'manifest.json'], { encoding: 'utf8' })).toContain('"RepoTags":["elsewhere:1"]')
    expect(must('images')).not.toContain('elsewhere')
    expect(run('build', '-q', '--network', 'none', '-o', '-', app).stdout).toContain('ustar')
    writeFileSync(join(peers.folder, 'bin/docker'), '#!/bin/sh\necho no such daemon >&2\nexit 1\n')
    expect(run('build', '-q', '--network', 'none', '--load', '-t', 'x', app)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('no such daemon') as string })
    writeFileSync(join(peers.folder, 'bin/podman'), `#!/bin/sh\ncat >${folder}/loaded-by-podman.tar\n`)
    chmodSync(join(peers.folder, 'bin/podman'), 0o755)
    build('--load', '-t', 'x')
    expect(execFileSync('tar', ['xOf', join(folder, 'loaded-by-podman.tar'), 'manifest.json'], { encoding: 'utf8' })).toContain('"x:latest"')
  })

  it('names the image of the store as the output says, and keeps nothing with type=cacheonly', () => {
    const metadata = join(folder, 'named.json')
    build('-t', 'tagged:1', '-o', 'type=image,"name=named:1,named:2",unpack=true,oci-mediatypes=true', '--metadata-file', metadata)
    expect(must('images', '--format', '{{.Repository}}:{{.Tag}}').split('\n')).toEqual(expect.arrayContaining(['tagged:1', 'named:1', 'named:2']))
    expect(readJson(metadata)).toMatchObject({ 'image.name': 'docker.io/library/tagged:1,docker.io/library/named:1,docker.io/library/named:2' })
    const before = must('images', '-q')
    build('-o', 'type=cacheonly', '--label', 'only=cached')
    expect(must('images', '-q')).toBe(before)
    expect(run('build', '-q', '--network', 'none', '-o', 'type=oci,name=piped:1', app).stdout).toContain('"io.containerd.image.name":"docker.io/library/piped:1"')
  })

  it('merges a root filesystem into a folder, and refuses before the build what cannot be written', () => {
    const there = join(folder, 'there')
    mkdirSync(join(there, 'd'), { recursive: true })
    writeFileSync(join(there, 'd/mine'), 'mine')
    writeFileSync(join(there, 'd/1'), 'old')
    build('-o', there)
    expect(readFileSync(join(there, 'd/mine'), 'utf8')).toBe('mine')
    expect(readFileSync(join(there, 'd/1'), 'utf8')).toBe('1\n')
    const clash = join(folder, 'clash')
    mkdirSync(join(clash, 'd/1/kept'), { recursive: true })
    expect(run('build', '-q', '--network', 'none', '-o', clash, app)).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('d/1"') as string })
    expect(readdirSync(clash)).toEqual(['d'])
    expect(existsSync(join(clash, 'd/1/kept'))).toBe(true)
    for (const spec of [`type=tar,dest=${clash}`, `type=oci,tar=false,dest=${clash}`, `type=tar,dest=${folder}/none/x.tar`, `type=local,dest=${join(there, 'd/1')}`]) {
      const { exitCode, stderr } = run('build', '--progress', 'plain', '-o', spec, app)
      expect([exitCode, stderr.includes('cannot write'), stderr.includes('RUN')], stderr).toEqual([1, true, false])
    }
    const [file, link] = [join(folder, 'linked.tar'), join(folder, 'link.tar')]
    symlinkSync(file, link)
    for (const kept of ['first', 'second']) {
      writeFileSync(file, kept)
      build('-o', `type=tar,dest=${link}`)
      expect([lstatSync(link).isSymbolicLink(), statSync(file).size > 1000], kept).toEqual([true, true])
    }
    const device = join(folder, 'device')
    execFileSync('mknod', [device, 'c', '1', '3'])
    for (const path of [join(folder, 'none/x.tar'), device, folder]) {
      for (const args of [['save', '-o', path, 'busybox'], ['build', '-q', '-o', `type=tar,dest=${path}`, app]]) {
        expect(run(...args), args.join(' ')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(`error: cannot write "${path}": `) as string })
      }
    }
    for (const path of ['/proc/none', '/proc/none/such', '/dev/null/none']) {
      expect(run('build', '-q', '--network', 'none', '-o', path, app), path).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(`cannot write "${path}": `) as string })
    }
    expect(run('report', '-o', join(folder, 'none/x.html'))).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('does not exist; make it first') as string })
    for (const spec of ['type=none', 'type=oci,dest=', 'type=tar,dest=x,compression=gzip', 'type=oci,dest=x,compression-level=99', 'type=image,name=a,compression=zstd', 'type=registry,name=a:1,push-by-digest=true']) expect(run('build', '-o', spec, app).exitCode, spec).toBe(2)
    expect(run('build', '-o', 'type=oci,dest=x,annotation.a=b', app)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--annotation') as string })
    expect(run('build', '-o', '-', '-o', 'type=oci', app)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('only one') as string })
    expect(run('build', '--push', app).stderr).toContain('needs a name')
  })

  it('says which filesystem is full, leaves nothing half written, and keeps what the steps made', () => {
    const small = join(folder, 'small')
    mkdirSync(small)
    const large = context('large', { Dockerfile: 'FROM busybox\nRUN head -c 6000000 /dev/urandom >/large\n' })
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', small])
    try {
      for (const [index, args] of [['-o', `type=oci,dest=${small}/x.tar`], ['-o', `type=tar,dest=${small}/x.tar`], ['-o', `type=oci,tar=false,dest=${small}/layout`], ['-o', join(small, 'local')], ['--cache-to', `type=local,dest=${small}/cache,mode=max`]].entries()) {
        const { exitCode, stderr } = run('build', '--progress', 'plain', '--network', 'none', ...args, large)
        expect({ exitCode, stderr }, args.join(' ')).toEqual({ exitCode: 1, stderr: expect.stringMatching(/cannot write "[^"]*small\/[a-z.]+": its filesystem has not enough room/u) as string })
        expect(/RUN head[^\n]*\n#2 CACHED/u.test(stderr), stderr).toBe(index > 0)
        const left = readdirSync(small, { recursive: true, encoding: 'utf8' }).filter((path) => statSync(join(small, path)).isFile())
        expect(left.filter((path) => /x\.tar|tmp|tsbuild-|[0-9a-f]{8}-/u.test(path)), args.join(' ')).toEqual([])
      }
      expect(run('build', '-q', '--network', 'none', '--cache-to', `type=local,dest=${small}/cache,ignore-error=true`, large).exitCode).toBe(0)
    } finally {
      execFileSync('umount', [small])
    }
  })

  it('refuses before the build to name an id or metadata where no file can be', () => {
    for (const args of [['--iidfile', join(folder, 'no/such')], ['--metadata-file', folder]]) expect(run('build', '--progress', 'plain', ...args, app)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(args[0] ?? '') as string })
  })

  it('squashes new layers, or a range of them, to the same tree', () => {
    build('-o', join(folder, 'plain'))
    const expected = describeTree(join(folder, 'plain'))
    for (const [squash, layers] of [['--squash', 2], ['--squash=1-2', 4], ['--squash=2-4', 3], ['--squash=3-', 4]] as const) {
      const to = join(folder, `squashed${squash}`)
      build('-t', 'squashed:1', squash, '-o', 'type=image', '-o', to)
      expect(describeTree(to), squash).toBe(expected)
      const [inspected] = JSON.parse(must('inspect', 'squashed:1')) as { RootFS: { Layers: string[] } }[]
      expect(inspected?.RootFS.Layers, squash).toHaveLength(layers)
      expect(must('history', 'squashed:1').split('\n'), squash).toHaveLength(6)
    }
    for (const range of ['7-9', '3-9', '7-']) expect(run('build', '--network', 'none', `--squash=${range}`, app).stderr, range).toContain('the Dockerfile made 4')
    build('--squash', '-f', context('none-of-its-own', { Dockerfile: 'FROM busybox\nENV A=1\n' }) + '/Dockerfile')
  })
})

describe('SOURCE_DATE_EPOCH', () => {
  const epoch = 1_000_000_000

  it('is the time of the image, its history and what would be younger, and makes two builds one', () => {
    const local = join(folder, 'epoch')
    const dated = context('dated', { Dockerfile: 'FROM busybox\nARG SOURCE_DATE_EPOCH\nRUN echo $SOURCE_DATE_EPOCH >/new && touch -d @1000 /old && mkdir -p /dir && ln -s new /link\nCOPY --chown=5 Dockerfile /copied\n' })
    const once = (...args: readonly string[]): string => must('build', '-q', '--no-cache', '--network', 'none', '-t', 'dated:1', '-o', 'type=image', '-o', local, ...args, dated)
    const first = once('--source-date-epoch', String(epoch))
    const times = ['new', 'dir', 'link', 'copied', 'old'].map((name) => lstatSync(join(local, name)).mtimeMs / 1000)
    expect(times).toEqual([epoch, epoch, epoch, epoch, 1000])
    expect(readFileSync(join(local, 'new'), 'utf8')).toBe(`${epoch}\n`)
    const second = once('--build-arg', `SOURCE_DATE_EPOCH=${epoch}`)
    expect(second).toBe(first)
    const [inspected] = JSON.parse(must('inspect', 'dated:1')) as { Created: string }[]
    expect(inspected?.Created).toBe('2001-09-09T01:46:40Z')
    expect(must('images', '--format', '{{.CreatedAt}} {{.CreatedSince}}', 'dated')).toMatch(/^2001-09-09T01:46:40.000Z \d+ years ago$/u)
    expect(run('build', '--source-date-epoch', 'yesterday', dated)).toMatchObject({ exitCode: 2 })
  })

  it('comes from the last commit when it is git', () => {
    const path = context('committed', { Dockerfile: 'FROM busybox\nRUN touch /new\n' })
    const env = { ...process.env, GIT_AUTHOR_DATE: '@1234567890 +0000', GIT_COMMITTER_DATE: '@1234567890 +0000' }
    for (const args of [['init', '-q'], ['-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-q', '--allow-empty', '-m', 'x']]) execFileSync('git', args, { cwd: path, env })
    must('build', '-q', '--network', 'none', '--source-date-epoch', 'git', '-o', join(folder, 'git'), path)
    expect(statSync(join(folder, 'git/new')).mtimeMs).toBe(1_234_567_890_000)
    expect(run('build', '--source-date-epoch', 'git', app)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('git repository') as string })
  })
})
