import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { useTrapBuilds } from '../support/trap-builds.ts'

/** Traps 68 to 88: RUN, its mounts, and the layers that come of it. */

const { build, refusal, folder } = useTrapBuilds('run')
const says = async (lines: string, given?: Parameters<typeof build>[1]): Promise<string> => (await build(lines, given)).said
/** The names in the layer of the last step but so many. */
const layerOf = async (lines: string, fromTop = 0): Promise<string[]> => {
  const built = await build(lines)
  return built.changes(fromTop)
}

describe('what belongs to us', () => {
  it('68 mount points and files of ours stay out of layers', async () => {
    const secret = join(folder, 'secret')
    writeFileSync(secret, 'value')
    const made = await build('RUN --mount=type=secret,id=s --mount=type=cache,target=/deep/cache --mount=target=/ctx touch /mine\nRUN true', { secrets: { s: { kind: 'file', path: secret } } })
    expect(await made.changes(1)).toEqual(['mine'])
    expect(await made.changes(0)).toEqual([])
    const kept = await build('RUN mkdir -p /run/secrets && touch -d @1000 /run/secrets /etc\nRUN --mount=type=secret,id=s true', { secrets: { s: { kind: 'file', path: secret } } })
    expect((await kept.view.lstat('/run/secrets'))?.mtimeNs).toBe(1_000_000_000_000n)
  })

  it('69 the directory of a cache mount', async () => {
    expect(await (await build('RUN --mount=type=cache,target=/var/cache/made true')).at('/var/cache/made')).toBeUndefined()
  })

  it('70 resolv.conf and hosts that are links', async () => {
    const files = { 'resolv.conf': { linkTo: '/run/x/resolv.conf' }, hosts: { linkTo: join(folder, 'hosts') } }
    const { at } = await build('COPY . /etc/\nRUN cat /etc/hosts >/copy', { files })
    expect(await at('/etc/resolv.conf')).toBe('symlink -> /run/x/resolv.conf')
    expect(await at('/copy')).toContain('localhost')
    expect(await at('/run/x')).toBeUndefined()
  })

  it('71 /run is part of the image', async () => {
    expect(await (await build('RUN mkdir -p /run/mine && echo 1 >/run/mine/f')).at('/run/mine/f')).toBe('file 644 0:0 1')
  })

  it('72 processes in the background', async () => {
    expect(await (await build('RUN (sleep 5; echo late >/late) & echo now >/now')).list('/')).not.toContain('late')
  })

  it('73 how a step ends', async () => {
    expect(await refusal('RUN exit 7')).toContain('exit code 7')
    expect(await refusal('RUN kill -9 $$')).toMatch(/137|SIGKILL/u)
  })
})

describe('mounts', () => {
  it('74 the identity of a cache mount', async () => {
    await build('RUN --mount=type=cache,target=/a,id=seventyfour echo 1 >/a/f')
    expect(await says('RUN --mount=type=cache,target=/b,id=seventyfour cat /b/f\nRUN --mount=type=cache,target=/b,id=seventyfour,uid=5 ls /b')).toBe('1\n')
    expect((await build('RUN --mount=type=cache,target=/a,id=seventyfour echo 1 >/a/f')).outcomes).toMatchObject({ 'RUN --mount=type=cache,target=/a,id=seventyfour echo 1 >/a/f': 'cached' })
  })

  it('75 what is written to bind and tmpfs mounts', async () => {
    const { at, said } = await build('RUN mkdir /t && echo kept >/t/f\nRUN --mount=type=tmpfs,target=/t --mount=target=/c,rw rm -f /t/f; echo new >/c/a; echo x >/t/y\nRUN --mount=target=/c cat /c/a', { files: { a: 'context' } })
    expect(said).toBe('context')
    expect([await at('/t/f'), await at('/t/y')]).toEqual(['file 644 0:0 kept', undefined])
  })

  it('76 secrets', async () => {
    const lines = 'RUN --mount=type=secret,id=token,env=TOKEN --mount=type=secret,id=none test "$TOKEN" -a ! -e /run/secrets/none'
    const given = (value: string): { secrets: Record<string, { kind: 'value'; value: Buffer }> } => ({ secrets: { token: { kind: 'value', value: Buffer.from(value) } } })
    const { config, history } = await build(lines, given('first-very-secret'))
    expect(JSON.stringify([config, history])).not.toContain('very-secret')
    expect((await build(lines, given('other-very-secret'))).outcomes[lines]).toBe('cached')
    expect(await refusal('RUN --mount=type=secret,id=none,required true')).toContain('none')
    expect(await refusal('RUN --mount=type=secret,id=token,env=TOKEN echo $TOKEN >/kept', given('other-very-secret'))).not.toContain('very-secret')
  })

  it('77 no network has a loopback', async () => {
    expect(await says('RUN --network=none ip link show lo | grep -c UP; grep -c localhost /etc/hosts; ls /sys/class/net; grep -c added /etc/hosts', { network: 'host', hosts: [{ name: 'added', address: '10.0.0.1' }] })).toMatch(/^1\n[12]\nlo\n1\n$/u)
  })

  it('78 a working directory that is missing, a link, or a mount', async () => {
    const { said } = await build('RUN mkdir /real && ln -s /real /ln\nWORKDIR /ln/in\nRUN pwd -P\nWORKDIR /mnt/deep\nRUN --mount=type=tmpfs,target=/mnt pwd')
    expect(said).toBe('/real/in\n/mnt/deep\n')
  })

  it('79 the umask and limits of whoever builds', async () => {
    const before = process.umask(0o077)
    try {
      expect(await says('RUN umask; cat /proc/self/oom_score_adj')).toBe('0022\n0\n')
    } finally {
      process.umask(before)
    }
  })

  it('80 SOURCE_DATE_EPOCH', async () => {
    const { view, image } = await build('FROM busybox AS b\nRUN touch -d @5 /old\nFROM b\nRUN touch /new', { sourceDateEpoch: 1000 })
    expect([(await view.lstat('/old'))?.mtimeNs, (await view.lstat('/new'))?.mtimeNs]).toEqual([5_000_000_000n, 1_000_000_000_000n])
    expect(image.created).toBe('1970-01-01T00:16:40Z')
    expect((await view.lstat('/bin/busybox'))?.mtimeNs).toBe(0n)
  })
})

describe('layers', () => {
  it('81 whiteouts', async () => {
    expect(await layerOf('RUN rm /etc/group && touch /x && rm /x')).toEqual(['etc/', 'etc/.wh.group'])
    expect(await refusal('RUN touch /.wh.mine')).toContain('.wh.mine')
  })

  it('82 a directory made again hides what was there', async () => {
    const lines = 'RUN mkdir /d && touch /d/lower\nRUN rm -r /d && mkdir /d && echo 1 >/d/only\n'
    expect(await layerOf(lines)).toEqual(['d/', 'd/.wh..wh..opq', 'd/only'])
    expect(await (await build(lines)).list('/d')).toEqual(['only'])
  })

  it('83 changes of type', async () => {
    const { at, list } = await build('RUN mkdir -p /d/sub && echo f >/f && echo g >/d/sub/g\nRUN rm -r /d && echo file >/d && rm /f && mkdir /f\nRUN rm /d && ln -s /f /d')
    expect([await at('/d'), await at('/f')]).toEqual(['symlink -> /f', 'directory 755 0:0'])
    expect(await list('/f')).toEqual([])
  })

  it('84 deleted and made again', async () => {
    expect(await layerOf('RUN mkdir /d && touch /d/x\nRUN rm -r /d && echo file >/d')).toEqual(['d'])
    expect(await layerOf('RUN mkdir /e && touch /e/x\nRUN rm -r /e && mkdir /e')).toEqual(['e/', 'e/.wh..wh..opq'])
  })

  it('85 a lower directory renamed', async () => {
    const { at, view } = await build('RUN mkdir -p /a/b && echo deep >/a/b/c\nRUN mv /a /z\nRUN cat /z/b/c')
    expect([await at('/z/b/c'), await at('/a')]).toEqual(['file 644 0:0 deep', undefined])
    expect((await view.xattrs('/z')).size).toBe(0)
  })

  it('86 changes of metadata alone', async () => {
    expect(await layerOf('RUN chmod 0600 /etc/passwd')).toEqual(['etc/', 'etc/passwd'])
    expect(await (await build('RUN chmod 0640 /etc/passwd')).at('/etc/passwd')).toMatch(/^file 640 0:0 root:/u)
  })

  it('87 the same tar from the same files', async () => {
    const lines = 'RUN mkdir /d && touch -d @1 /d/b /d/a && ln /d/a /d/c && touch -d @1 /d'
    const [one, other] = [await build(lines, { noCache: true }), await build(lines, { noCache: true })]
    expect(one.image.rootfs.diff_ids).toEqual(other.image.rootfs.diff_ids)
    expect(await one.changes(0)).toEqual(['d/', 'd/a', 'd/b', 'd/c'])
  })

  it('88 archives that lead out', async () => {
    const root = join(folder, 'hostile')
    mkdirSync(root)
    writeFileSync(join(folder, 'canary'), 'untouched')
    const python = 'import tarfile,sys,io\nt=tarfile.open(sys.argv[1],"w")\nl=tarfile.TarInfo("out"); l.type=tarfile.SYMTYPE; l.linkname=sys.argv[2]; t.addfile(l)\nf=tarfile.TarInfo(sys.argv[3]); f.size=1; t.addfile(f, io.BytesIO(b"x")); t.close()'
    execFileSync('python3', ['-c', python, join(root, 'climb.tar'), folder, '../../../canary'])
    execFileSync('python3', ['-c', python, join(root, 'link.tar'), folder, 'out/canary'])
    expect(await refusal('ADD climb.tar /x/', { context: root })).not.toBe('')
    const followed = await build('ADD link.tar /x/', { context: root }).catch((error: unknown) => error)
    expect(followed).toBeDefined()
    expect(readFileSync(join(folder, 'canary'), 'utf8')).toBe('untouched')
  })
})
