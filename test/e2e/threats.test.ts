import { execFileSync } from 'node:child_process'
import { chmodSync, lstatSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { useTrapBuilds } from '../support/trap-builds.ts'

/** Published vulnerabilities of builders that no other test is about; `test/threats.test.ts` lists where each is tested. */

const { build, refusal, folder } = useTrapBuilds('threats')
const canary = join(folder, 'canary')
let contexts = 0

beforeAll(() => { writeFileSync(canary, 'untouched') })

function emptyContext(): string {
  contexts += 1
  const root = join(folder, `context-${contexts}`)
  mkdirSync(root)
  return root
}

async function serving<T>(listener: RequestListener, work: (url: string) => Promise<T>): Promise<T> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

describe('mounts of RUN', () => {
  it('39 a directory of a cache cannot be named, and links in a cache lead nowhere outside', async () => {
    expect(await refusal('RUN --mount=type=cache,id=x,source=a/b,target=/c true')).toContain('from=STAGE')
    const { said } = await build(`RUN --mount=type=cache,id=linked,target=/c ln -s / /c/root; ln -s ${folder} /c/out\nRUN --mount=type=cache,id=linked,target=/c ls /c/root/bin/sh; cat /c/out/canary 2>/dev/null || echo nothing`)
    expect(said).toBe('/c/root/bin/sh\nnothing\n')
  })

  it('40 what a step puts in the place of our mount points stays', async () => {
    const { at } = await build('RUN mkdir -p /victim/b && touch /victim/b/stub\nRUN --mount=type=tmpfs,target=/a/b/stub mv /a /gone 2>/dev/null; rm -rf /a 2>/dev/null; ln -s /victim /a 2>/dev/null; true')
    expect(await at('/victim/b/stub')).toBe('file 644 0:0')
  })

  it('41 no unknown word means less protection', async () => {
    expect(await refusal('RUN --security=insecure true')).toContain('--allow security.insecure')
    expect(await refusal('RUN --network=host true')).toContain('--allow network.host')
    for (const flag of ['--security=INSECURE', '--network=hots', '--mount=type=bindd,target=/x', '--mount=type=cache,sharing=all,target=/x']) expect(await refusal(`RUN ${flag} true`), flag).not.toBe('')
  })

  it('46 a mount has no options but those we know', async () => {
    for (const option of ['bind-propagation=rshared,exec', 'bind-propagation=shared', 'context=x', 'options=suid', 'dev', 'exec', 'Z', 'U']) expect(await refusal(`RUN --mount=type=bind,target=/m,${option} true`), option).not.toBe('')
  })
})

describe('what contexts and downloads bring', () => {
  it('49 a Dockerfile that is a link in a broken tar is not written through', async () => {
    const root = emptyContext()
    symlinkSync(canary, join(root, 'Dockerfile'))
    execFileSync('tar', ['-C', root, '-cf', join(folder, 'link.tar'), 'Dockerfile'])
    const tar = readFileSync(join(folder, 'link.tar'))
    let replies = 0
    await serving((_, response) => {
      replies += 1
      response.end(replies === 1 ? Buffer.concat([tar.subarray(0, 512), Buffer.alloc(700, 'garbage')]) : 'FROM busybox\n')
    }, async (url) => {
      for (const end of ['/one.tar', '/two.tar']) await build('', { context: url + end }).catch(() => undefined)
    })
    expect(readFileSync(canary, 'utf8')).toBe('untouched')
    expect(lstatSync(canary).isFile()).toBe(true)
  })

  it('51 the name a server gives a download is not believed', async () => {
    await serving((request, response) => {
      response.setHeader('content-disposition', `attachment; filename="../../${request.url?.length === 1 ? 'x' : 'etc/x'}"`).end('body')
    }, async (url) => {
      const { list } = await build(`ADD ${url}/named /d/\nADD ${url}/a%2f..%2fb /e/\nADD ${url}/%2e%2e /f/`)
      expect(await list('/d')).toEqual(['named'])
      for (const made of ['/e', '/f']) expect((await list(made)).join()).not.toContain('/')
    })
  })

  it('53 addresses that begin like options are no options', async () => {
    for (const address of ['git://-oProxyCommand=touch/x.git', 'ssh://-oProxyCommand=touch%20x/y.git', 'git@-oProxyCommand=x:y.git', 'https://h.example/x.git#--upload-pack=touch']) {
      expect(await refusal(`ADD ${address} /x`), address).not.toBe('')
    }
  })

  it('57 ignore files and Dockerfiles that are no ordinary files', async () => {
    const shapes: readonly ((path: string) => void)[] = [
      (path) => { symlinkSync('/etc/shadow', path) }, (path) => { execFileSync('mkfifo', [path]) }, (path) => { mkdirSync(path) },
      (path) => { writeFileSync(path, '') ; truncateSync(path, 2 ** 30) }, (path) => { writeFileSync(path, Buffer.from([0xff, 0xfe, 0x0a, 0xc3, 0x28])) },
    ]
    for (const make of shapes) {
      const root = emptyContext()
      writeFileSync(join(root, 'a'), 'a')
      make(join(root, '.dockerignore'))
      const outcome = await build('COPY a /', { context: root }).then(() => 'built', (error: unknown) => String(error))
      expect(outcome).not.toContain('root:')
      expect(outcome).not.toContain('TypeError')
    }
  })

  it('58 an archive cannot write through links of the image', async () => {
    const root = emptyContext()
    writeFileSync(join(root, 'f'), 'archived')
    execFileSync('tar', ['-C', root, '-cf', join(root, 'a.tar'), 'f'])
    const { at } = await build(`RUN ln -s ${folder} /out && ln -s ../../.. /up\nADD a.tar /out\nADD a.tar /up/x`, { context: root })
    expect(await at(`${folder}/f`)).toBe('file 644 0:0 archived')
    expect(await at('/x/f')).toBe('file 644 0:0 archived')
  })

  it('61 volumes of a config bring nothing of the host', async () => {
    const { at, config } = await build('VOLUME /../../etc /v/../../../root\nRUN true')
    expect(Object.keys(config.Volumes ?? {})).toHaveLength(2)
    expect(await at('/etc/shadow')).toBeUndefined()
  })

  it('64 what ids of a container could own decides nothing', () => {
    for (const name of ['store/state.db', 'store/content', 'store/layers', 'store/locks']) {
      const { uid, mode } = lstatSync(join(folder, name))
      expect([uid, mode & 0o022], name).toEqual([process.getuid?.() ?? 0, 0])
    }
  })
})

describe('hostile files that take a build to judge', () => {
  it('an environment too large for the kernel is said to be that', async () => {
    const lines = Array.from({ length: 40 }, (_, index) => `ENV a${index}=${'x'.repeat(100_000)}`).join('\n')
    expect(await refusal(`${lines}\nRUN true`)).toMatch(/E2BIG/u)
  })

  it('names of variables, PATH empty, and JSON that is none reach a process as they are', async () => {
    expect((await build('ENV __proto__=1 constructor=2\nENV PATH=\nRUN ["/bin/sh", "-c", "echo $__proto__$constructor[$PATH]"]')).said).toBe('12[]\n')
  })

  it('patterns of every kind end', async () => {
    const { list } = await build(`COPY --exclude=${'**/'.repeat(200)}x ${'*'.repeat(2000)} /d/`, { files: { a: 'a', '.dockerignore': `${'!**/*a*\n'.repeat(2000)}${'**/'.repeat(500)}b\n` } })
    expect(await list('/d')).toContain('a')
    // As in BuildKit a malformed one matches nothing, and a pattern may do that.
    for (const pattern of ['a[', '[^', 'a[]', '[b-a]']) expect(await (await build(`COPY ${pattern} /m/\nCOPY a /m/`, { files: { a: 'a' } })).list('/m'), pattern).toEqual(['a'])
  })

  it('another frontend is not executed', async () => {
    const { said } = await build('# syntax=evil.example/frontend:latest\nFROM busybox\nRUN echo ours').catch((error: unknown) => ({ said: String(error) }))
    expect(said).toMatch(/^ours\n$|evil\.example/u)
  })

  it('steps of a stage cannot use it, a later one, or themselves', async () => {
    for (const lines of ['FROM busybox AS a\nCOPY --from=a /x /', 'FROM busybox AS a\nRUN --mount=from=a,target=/m true', 'FROM b AS a\nFROM a AS b']) expect(await refusal(lines)).not.toContain('TypeError')
  })

  it('UTF-16, junk in every value, and a context that nobody may read are refused with a line or a path', async () => {
    const root = emptyContext()
    writeFileSync(join(root, 'Dockerfile'), Buffer.from('\ufeffFROM busybox\n', 'utf16le'))
    const values = ['USER a:b:c', 'USER +1', 'WORKDIR', 'HEALTHCHECK --interval=junk CMD x', 'HEALTHCHECK --retries=-1 CMD x', 'STOPSIGNAL junk', 'SHELL []', 'COPY --chown=99999999999 a /', 'COPY --chmod=junk a /', 'ADD --checksum=sha256:12 http://127.0.0.1:1/x /', 'EXPOSE 1-99999', 'FROM --platform=a/b/c/d busybox']
    for (const line of values) expect(await refusal(line.startsWith('FROM') ? line : `${line}\nRUN true`, { files: { a: 'a' } }), line).not.toMatch(/TypeError|^\s*$/u)
    chmodSync(root, 0o755)
  })
})
