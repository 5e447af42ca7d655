import { execFileSync } from 'node:child_process'
import { chmodSync, linkSync, mkdirSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { commitFiles, startGitServer } from '../support/git-server.ts'
import { useTrapBuilds } from '../support/trap-builds.ts'

/** Traps 38 to 67: COPY and ADD. */

const { build, refusal, folder } = useTrapBuilds('copy')
let contexts = 0

/** A context of files by path, `/` at the end for a folder. */
function context(files: Readonly<Record<string, string>>): string {
  contexts += 1
  const root = join(folder, `context-${contexts}`)
  mkdirSync(root)
  for (const [path, text] of Object.entries(files)) {
    const full = join(root, path)
    mkdirSync(path.endsWith('/') ? full : dirname(full), { recursive: true })
    if (!path.endsWith('/')) writeFileSync(full, text)
  }
  return root
}
const files = { a: 'a', b: 'b', 'dir/x': 'x', 'dir/sub/y': 'y' }
const plain = { files }

describe('destinations', () => {
  it('38 trailing slashes', async () => {
    const { at } = await build('RUN mkdir /have\nCOPY a /file\nCOPY a /have\nCOPY a /new/', plain)
    expect([await at('/file'), await at('/have/a'), await at('/new/a')]).toEqual(['file 644 0:0 a', 'file 644 0:0 a', 'file 644 0:0 a'])
    expect(await refusal('RUN mkdir -p /d/a\nCOPY a /d/', plain)).toContain('/d/a')
    expect(await refusal('RUN echo >/f\nCOPY dir /f', plain)).toContain('/f')
  })

  it('39 a directory is copied by its contents', async () => {
    const { at } = await build('COPY dir /one\nCOPY dir/ /two/', plain)
    expect([await at('/one/x'), await at('/two/x'), await at('/one/dir')]).toEqual(['file 644 0:0 x', 'file 644 0:0 x', undefined])
  })

  it('40 several sources and no slash', async () => {
    // As BuildKit, whose documentation says otherwise: the later one stays.
    expect(await (await build('COPY a b /there', plain)).at('/there')).toBe('file 644 0:0 b')
    expect(await (await build('COPY a b dir /there/', plain)).at('/there/x')).toBe('file 644 0:0 x')
  })

  it('41 relative destinations', async () => {
    const { at } = await build('WORKDIR /srv\nCOPY a .\nWORKDIR /gone\nRUN rm -r /gone\nCOPY b .', plain)
    expect([await at('/srv/a'), await at('/gone/b')]).toEqual(['file 644 0:0 a', 'file 644 0:0 b'])
  })
})

describe('sources', () => {
  it('42 a name must be there, a pattern need not', async () => {
    expect(await refusal('COPY missing /', plain)).toContain('missing')
    expect(await (await build('COPY *.none /w/\nCOPY a /end', plain)).at('/end')).toBe('file 644 0:0 a')
    expect(await refusal('COPY --parents missing /', plain)).toContain('missing')
  })

  it('43 wildcards', async () => {
    const { at, list } = await build('COPY * /w/\nCOPY star[[]1] /s', { files: { '.hidden': 'h', 'd/deep': 'd', 'star[1]': 's' } })
    expect(await list('/w')).toEqual(['.hidden', 'deep', 'star[1]'])
    expect(await at('/s')).toBe('file 644 0:0 s')
    expect(await (await build('COPY d/**/deep /w/\nCOPY a /end', { files: { 'd/e/f/deep': 'd', a: 'a' } })).at('/w/deep')).toBeUndefined()
  })

  it('44 paths that lead out', async () => {
    const { at } = await build('COPY ../../a /../x\nCOPY /b /y', plain)
    expect([await at('/x'), await at('/y')]).toEqual(['file 644 0:0 a', 'file 644 0:0 b'])
  })

  it('45 a link in the destination', async () => {
    const lines = 'RUN mkdir /real && ln -s /real /ln && ln -s ../../../out /up\n'
    const followed = await build(`${lines}COPY a /ln/\nCOPY b /up/`, plain)
    expect([await followed.at('/real/a'), await followed.at('/out/b')]).toEqual(['file 644 0:0 a', 'file 644 0:0 b'])
    const linked = await build(`${lines}COPY --link a /ln/`, plain)
    expect([await linked.at('/ln'), await linked.at('/ln/a'), await linked.at('/real/a')]).toEqual(['directory 755 0:0', 'file 644 0:0 a', undefined])
  })

  it('46 links as sources', async () => {
    const root = context(files)
    for (const [target, path] of [['a', 'link'], ['dir', 'dirlink'], ['/etc/passwd', 'dir/absolute'], ['nowhere', 'dir/dangling']] as const) symlinkSync(target, join(root, path))
    const { at } = await build('COPY link /l\nCOPY dirlink /d\n', { context: root })
    expect([await at('/l'), await at('/d/x'), await at('/d/absolute'), await at('/d/dangling')]).toEqual(['file 644 0:0 a', 'file 644 0:0 x', 'symlink -> /etc/passwd', 'symlink -> nowhere'])
  })

  it('47 a link where a copied file goes', async () => {
    const { at } = await build('RUN mkdir /t && echo kept >/victim && ln -s /victim /t/x\nCOPY dir /t', plain)
    expect([await at('/t/x'), await at('/victim')]).toEqual(['file 644 0:0 x', 'file 644 0:0 kept'])
  })
})

describe('what is there, and who owns it', () => {
  it('48 a destination that exists', async () => {
    const root = context(files)
    chmodSync(join(root, 'dir'), 0o700)
    chmodSync(join(root, 'dir/sub'), 0o711)
    const { at } = await build('RUN mkdir -p /t/sub && chmod 0777 /t /t/sub && chown 5 /t /t/sub && echo kept >/t/kept\nCOPY dir /t\nCOPY dir /fresh', { context: root })
    expect([await at('/t'), await at('/t/sub'), await at('/t/kept'), await at('/fresh')]).toEqual(['directory 777 5:0', 'directory 711 0:0', 'file 644 0:0 kept', 'directory 755 0:0'])
    expect(await (await build('RUN chmod 1777 /tmp\nCOPY --link a /tmp/', plain)).at('/tmp')).toBe('directory 755 0:0')
  })

  it('49 directories made on the way', async () => {
    const { at } = await build('COPY a /one/two/\nCOPY --chown=3:4 --chmod=0750 a /three/four/\nCOPY --chmod=go-r a /five/six', plain)
    expect([await at('/one'), await at('/three'), await at('/three/four'), await at('/five')]).toEqual(['directory 755 0:0', 'directory 750 3:4', 'directory 750 3:4', 'directory 755 0:0'])
  })

  it('50 owners', async () => {
    const root = context(files)
    execFileSync('chown', ['-R', '1000:1000', root])
    const { at } = await build('FROM busybox AS s\nRUN echo s >/s && chown 7:8 /s\nFROM busybox\nUSER 9\nCOPY a /a\nCOPY --from=s /s /s', { context: root })
    expect([await at('/a'), await at('/s')]).toEqual(['file 644 0:0 a', 'file 644 7:8 s'])
  })

  it('51 --chown by names and numbers', async () => {
    const { at } = await build('RUN echo app:x:50:51::/:/bin/sh >>/etc/passwd && echo team:x:60: >>/etc/group\nCOPY --chown=12 a /1\nCOPY --chown=app a /2\nCOPY --chown=app:team a /3', plain)
    expect([await at('/1'), await at('/2'), await at('/3')]).toEqual(['file 644 12:12 a', 'file 644 50:50 a', 'file 644 50:60 a'])
    expect(await refusal('FROM scratch\nCOPY --chown=app a /', plain)).toContain('app')
  })

  it('52 --chmod', async () => {
    const root = context(files)
    symlinkSync('x', join(root, 'dir/link'))
    const { at } = await build('COPY --chmod=7777 a /1\nCOPY --chmod=u=rwX,go=X dir /2', { context: root })
    expect([await at('/1'), await at('/2/x'), await at('/2/sub'), await at('/2/link')]).toEqual(['file 7777 0:0 a', 'file 600 0:0 x', 'directory 711 0:0', 'symlink -> x'])
    expect(await refusal('COPY --chmod=17777 a /', plain)).toContain('17777')
  })

  it('53 chown, setuid and capabilities', async () => {
    const root = context({ setuid: 's' })
    chmodSync(join(root, 'setuid'), 0o4755)
    execFileSync('setcap', ['cap_net_raw+ep', join(root, 'setuid')])
    const { at, view } = await build('COPY --chown=5:6 setuid /s', { context: root })
    expect(await at('/s')).toBe('file 4755 5:6 s')
    expect([...(await view.xattrs('/s')).keys()]).toEqual(['security.capability'])
  })

  it('54 the umask of whoever builds', async () => {
    const before = process.umask(0o077)
    try {
      expect(await (await build('COPY a /umask/made', plain)).at('/umask')).toBe('directory 755 0:0')
    } finally {
      process.umask(before)
    }
  })

  it('55 extended attributes', async () => {
    const root = context({ a: 'a' })
    execFileSync('python3', ['-c', 'import os,sys; os.setxattr(sys.argv[1], "user.note", b"kept")', join(root, 'a')])
    execFileSync('setcap', ['cap_net_raw+ep', join(root, 'a')])
    execFileSync('tar', ['--xattrs', '--xattrs-include=*', '-C', root, '-cf', join(root, 'a.tar'), 'a'])
    const { view } = await build('FROM busybox AS s\nCOPY a /a\nFROM busybox\nCOPY --from=s /a /a\nADD a.tar /tar', { context: root })
    // What is there for the kernel to act on is kept; a user's notes are not sent along, nor are they by Docker.
    for (const path of ['/a', '/tar/a']) expect([...(await view.xattrs(path)).keys()], path).toContain('security.capability')
  })

  it('56 hard links', async () => {
    const root = context({ 'd/one': '1', 'e/one': '1' })
    linkSync(join(root, 'd/one'), join(root, 'd/two'))
    const { view } = await build('FROM busybox AS s\nCOPY d /d\nFROM busybox\nCOPY --from=s /d /d\nCOPY d/one d/two /apart/', { context: root })
    const [one, two] = [await view.lstat('/d/one'), await view.lstat('/d/two')]
    expect(one?.fileId).toBe(two?.fileId)
    expect((await view.lstat('/apart/one'))?.fileId).not.toBe((await view.lstat('/apart/two'))?.fileId)
  })

  it('57 sparse files', async () => {
    const root = context({ sparse: '' })
    truncateSync(join(root, 'sparse'), 64 * 1024 * 1024)
    const { view, said } = await build('COPY sparse /s\nRUN echo $(($(stat -c %b /s) < 1000))', { context: root })
    expect((await view.lstat('/s'))?.sizeBytes).toBe(64 * 1024 * 1024)
    expect(said).toMatch(/^[01]\n$/u)
  })

  it('58 fifos, devices and sockets', async () => {
    const root = context({ 'd/f': 'f' })
    execFileSync('mkfifo', [join(root, 'd/fifo')])
    execFileSync('mknod', [join(root, 'd/null'), 'c', '1', '3'])
    execFileSync(process.execPath, ['-e', 'require("node:net").createServer().listen(process.argv[1], () => process.reallyExit(0))', join(root, 'd/socket')])
    const { at, list } = await build('COPY d /d', { context: root })
    expect([await at('/d/fifo'), await at('/d/null')]).toEqual(['fifo 644 0:0', 'char 644 0:0 1:3'])
    expect(await list('/d')).toEqual(['f', 'fifo', 'null'])
    execFileSync('mknod', [join(root, 'd/white'), 'c', '0', '0'])
    expect(await refusal('COPY d /d', { context: root })).toContain('white')
  })

  it('59 times', async () => {
    const root = context({ a: 'a' })
    utimesSync(join(root, 'a'), 1_000_000_000.9, 1_000_000_000.9)
    expect((await (await build('COPY a /timed', { context: root })).view.lstat('/timed'))?.mtimeNs).toBe(1_000_000_000_000_000_000n)
    utimesSync(join(root, 'a'), 1_500_000_000, 1_500_000_000)
    expect((await build('COPY a /timed', { context: root })).outcomes['COPY a /timed']).toBe('cached')
  })

  it('60 what a copy is known by', async () => {
    const [first, renamed] = [context({ 'one/f': 'same' }), context({ 'two/f': 'same' })]
    await build('COPY one /known', { context: first })
    expect((await build('COPY two /known', { context: renamed })).outcomes['COPY two /known']).toBe('cached')
    chmodSync(join(renamed, 'two/f'), 0o600)
    expect((await build('COPY two /known', { context: renamed })).outcomes['COPY two /known']).toBe('executed')
    expect((await build('COPY three /known', { files: { 'three/g': 'same' } })).outcomes['COPY three /known']).toBe('executed')
  })
})

describe('ADD', () => {
  it('61 archives', async () => {
    const root = context({ 't/f': 'f', zip: 'PK\u0003\u0004' })
    execFileSync('tar', ['-C', join(root, 't'), '--owner=5', '--group=6', '-czf', join(root, 'no-ending'), 'f'])
    writeFileSync(join(root, 'single.gz'), execFileSync('gzip', ['-c'], { input: 'alone' }))
    const { at, list } = await build('ADD no-ending /d\nADD --chown=8:9 --chmod=0600 no-ending /e\nADD zip single.gz /f/\nADD --unpack=false no-ending /g', { context: root })
    expect([await at('/d/f'), await at('/e/f'), await at('/g')]).toEqual(['file 644 5:6 f', 'file 644 8:9 f', expect.stringMatching(/^file 644/u)])
    expect(await list('/f')).toEqual(['single.gz', 'zip'])
  })

  it('62 downloads', async () => {
    const server = createServer((_, response) => { response.setHeader('last-modified', new Date(1_000_000_000_000).toUTCString()).end('body') })
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    try {
      const { at, view } = await build(`ADD ${url}/path/name?q /d/\nADD ${url} /e/`)
      expect([await at('/d/name'), await at('/e/__unnamed__')]).toEqual(['file 600 0:0 body', 'file 600 0:0 body'])
      expect((await view.lstat('/d/name'))?.mtimeNs).toBe(1_000_000_000_000_000_000n)
      expect(await refusal(`ADD --checksum=sha256:${'0'.repeat(64)} ${url}/x /`)).toContain('0000')
    } finally {
      server.close()
    }
  })

  it('63 repositories', async () => {
    commitFiles(join(folder, 'git/repo'), { 'sub/f': 'f' }, (path) => { symlinkSync('/etc', join(path, 'out')) })
    const git = await startGitServer(join(folder, 'git'))
    try {
      const repository = `${git.url}/repo`
      const { at } = await build(`ADD ${repository}#main:sub /d`)
      expect([await at('/d/f'), await at('/d/.git')]).toEqual(['file 644 0:0 f', undefined])
      expect(await refusal(`ADD ${repository}#main:out /d`)).not.toBe('')
    } finally {
      await git[Symbol.asyncDispose]()
    }
  })

  it('64 --parents', async () => {
    const root = context({ 'one/two/three/f': 'f' })
    chmodSync(join(root, 'one/two/three'), 0o711)
    const { at } = await build('COPY --parents one/two/three/f /d/\nCOPY --parents one/./two/three/f /e/\nCOPY --parents **/f /g/', { context: root })
    expect([await at('/d/one/two/three'), await at('/d/one/two/three/f'), await at('/e/two/three/f'), await at('/e/one'), await at('/g/one/two/three/f')]).toEqual(['directory 711 0:0', 'file 644 0:0 f', 'file 644 0:0 f', undefined, 'file 644 0:0 f'])
  })

  it('65 --exclude', async () => {
    const { at } = await build('COPY --exclude=x --exclude=**/*.md --exclude=!keep.md dir /d', { files: { 'dir/x': 'x', 'dir/sub/x': 'x', 'dir/sub/a.md': 'a', 'dir/keep.md': 'k' } })
    expect([await at('/d/x'), await at('/d/sub/x'), await at('/d/sub/a.md'), await at('/d/keep.md')]).toEqual([undefined, 'file 644 0:0 x', undefined, 'file 644 0:0 k'])
  })

  it('66 .dockerignore', async () => {
    const { list } = await build('COPY . /d', { files: { '.dockerignore': '# comment\n*\n!/keep/in\n  !b  \n**/*.md\n', a: 'a', b: 'b', 'keep/in': 'in', 'keep/out': 'out', 'keep/x.md': 'x' } })
    expect(await list('/d')).toEqual(['b', 'keep'])
    expect(await list('/d/keep')).toEqual(['in'])
    const root = context({ a: 'a', Dockerfile: 'FROM busybox\nCOPY . /d\n', '.dockerignore': 'a\n', 'Dockerfile.dockerignore': '*ock*\n' })
    expect(await refusal('COPY a /', { context: root })).toContain('a')
  })

  it('67 names are bytes', async () => {
    const root = context({ 'd/f': 'f' })
    const composed = ['\u00e9', 'e\u0301', 'A', 'a']
    for (const name of composed) writeFileSync(join(root, 'd', name), name)
    writeFileSync(Buffer.concat([Buffer.from(`${root}/d/`), Buffer.from([0xff, 0xfe])]), 'bytes')
    const { view } = await build('COPY d /d', { context: root })
    const names = await view.list('/d')
    expect(names).toContainEqual(Buffer.from([0xff, 0xfe]))
    expect(names.map((name) => name.toString())).toEqual(expect.arrayContaining(composed))
  })
})
