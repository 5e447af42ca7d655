import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'
import type { GitServer } from '../support/git-server.ts'
import { commitFiles, startGitServer } from '../support/git-server.ts'

const command = useCommand('contexts')
const { context, must, run } = command
const binary = join(import.meta.dirname, '..', '..', 'bin', 'tsbuild.cjs')
const files = { Dockerfile: 'FROM busybox\nCOPY sub/f /f\n', 'sub/f': 'content\n', 'sub/Dockerfile': 'FROM busybox\nCOPY f /from-sub\n' }
let git: GitServer
let http: Server
let address: string
let folder: string
/** What the server was asked, and whether it was asked only for what changed. */
const asked: string[] = []

beforeAll(async () => {
  importBusybox(command)
  folder = context('context', files)
  commitFiles(join(command.folder, 'repo'), files, (path) => {
    symlinkSync('/', join(path, 'out'))
    symlinkSync('sub', join(path, 'link'))
  })
  git = await startGitServer(command.folder)
  http = createServer((request, response) => {
    const path = join(command.folder, decodeURIComponent(request.url?.split('?')[0] ?? ''))
    const isKnown = request.headers['if-none-match'] === '"one"'
    asked.push(`${request.url ?? ''}${isKnown ? ' known' : ''}`)
    if (request.url?.startsWith('/redirect') === true) response.writeHead(302, { location: '/context/sub/f' }).end()
    else if (!existsSync(path)) response.writeHead(404).end()
    else if (isKnown) response.writeHead(304).end()
    else response.writeHead(200, { etag: '"one"', 'last-modified': 'Sun, 09 Sep 2001 01:46:40 GMT' }).end(readFileSync(path))
  })
  await new Promise<void>((resolve) => { http.listen(0, '127.0.0.1', resolve) })
  const bound = http.address()
  address = `http://127.0.0.1:${typeof bound === 'object' && bound !== null ? bound.port : 0}`
})
afterAll(async () => {
  http.close()
  await git[Symbol.asyncDispose]()
})

/** Does not block this process, whose server it may ask. */
async function build(...args: readonly string[]): Promise<{ readonly exitCode: number | null; readonly said: string }> {
  const child = command.start('build', '--progress', 'plain', '-t', 'built', ...args)
  let said = ''
  child.stderr?.on('data', (bytes: Buffer) => { said += bytes.toString() })
  return { exitCode: await new Promise((resolve) => { child.on('close', resolve) }), said }
}

async function succeed(...args: readonly string[]): Promise<void> {
  const { exitCode, said } = await build(...args)
  expect(exitCode, said).toBe(0)
}
const inBuilt = (script: string): string => must('run', '--network', 'none', 'built', 'sh', '-c', script)

function buildInput(input: Buffer | string, ...args: readonly string[]): { readonly exitCode: number | null; readonly said: string } {
  const { status, stderr } = spawnSync(process.execPath, [binary, 'build', '--progress', 'plain', '-t', 'built', ...args], {
    input, cwd: command.folder, encoding: 'utf8', env: { ...process.env, TSBUILD_ROOT: command.root, DOCKER_CONFIG: command.folder, CONTAINERS_REGISTRIES_CONF: join(command.folder, 'registries.conf') },
  })
  return { exitCode: status, said: stderr }
}

describe('standard input', () => {
  it.each([['cat'], ['gzip', '-c'], ['bzip2', '-c'], ['xz', '-c']])('is a context when it is a tar: %s', (...program) => {
    const tar = execFileSync('tar', ['-C', folder, '-c', '.'])
    const [file = '', ...args] = program
    const { exitCode, said } = buildInput(execFileSync(file, args, { input: tar }), '-')
    expect(exitCode, said).toBe(0)
    expect(inBuilt('cat /f')).toBe('content')
  })

  it('is a Dockerfile otherwise, alone or beside a folder', () => {
    expect(buildInput('FROM busybox\nRUN echo alone >/f\n', '-').exitCode).toBe(0)
    expect(inBuilt('cat /f')).toBe('alone')
    expect(buildInput('FROM busybox\nCOPY sub/f /piped\n', '-f', '-', folder).exitCode).toBe(0)
    expect(inBuilt('cat /piped')).toBe('content')
  })

  it('cannot be both, and must be text', () => {
    expect(buildInput('FROM busybox', '-f', '-', '-').said).toContain('both the context and the Dockerfile')
    expect(buildInput(Buffer.from([0x46, 0xff, 0xfe]), '-').said).toContain('not UTF-8')
  })

  it('names the nearest file when its tar lacks the Dockerfile', () => {
    expect(buildInput(execFileSync('tar', ['-C', folder, '-c', '.']), '-f', 'Dockerfil', '-').said).toContain('did you mean "Dockerfile"')
  })

  it('may have a Containerfile, and says how to name another', () => {
    const tree = context('contained', { Containerfile: 'FROM scratch\nLABEL a=contained\n' })
    expect(command.run('build', '-q', tree).exitCode).toBe(0)
    expect(buildInput(execFileSync('tar', ['-C', tree, '-c', '.']), '-').exitCode).toBe(0)
    expect(command.run('build', context('unnamed', { 'docker/app.docker': '' })).stderr).toContain('-f FILE')
  })

  it('as a tar cannot lead out of itself', () => {
    const tree = context('linked', { 'x/y': '' })
    symlinkSync('/etc/hostname', join(tree, 'Dockerfile'))
    const { exitCode, said } = buildInput(execFileSync('tar', ['-C', tree, '-c', '.']), '-')
    expect(exitCode).toBe(1)
    expect(said).toContain('there is no such file')
  })
})

describe('a folder', () => {
  it('may have its Dockerfile elsewhere, with an ignore file beside that', async () => {
    const elsewhere = context('elsewhere', { 'x.Dockerfile': 'FROM busybox\nCOPY . /all\n', 'x.Dockerfile.dockerignore': 'sub/f\n' })
    writeFileSync(join(folder, '.dockerignore'), 'Dockerfile\n')
    await succeed('-f', join(elsewhere, 'x.Dockerfile'), folder)
    expect(inBuilt('cd /all && find . -type f | sort | tr "\\n" " "')).toBe('./.dockerignore ./Dockerfile ./sub/Dockerfile')
    writeFileSync(join(elsewhere, 'x.Dockerfile'), 'FROM busybox\nCOPY sub/f /f\n')
    expect(run('build', '-f', join(elsewhere, 'x.Dockerfile'), folder).stderr).toContain('cannot copy "sub/f": x.Dockerfile.dockerignore leaves it out of the build context')
    writeFileSync(join(folder, '.dockerignore'), '')
  })

  it('tells what COPY may see of it', () => {
    const report = JSON.parse(must('build', '--print-context', '--progress', 'json', folder)) as { files: number; largest: { path: string }[] }
    expect(report.files).toBe(4)
    expect(report.largest[0]?.path).toBe('sub/')
  })
})

describe('a git repository', () => {
  it('is a context, whole or in part, by branch or commit', async () => {
    await succeed(`${git.url}/repo`)
    expect(inBuilt('cat /f')).toBe('content')
    await succeed(`${git.url}/repo#main:sub`)
    expect(inBuilt('cat /from-sub')).toBe('content')
    await succeed(`${git.url}/repo?branch=main&subdir=sub`)
    const commit = execFileSync('git', ['-C', join(command.folder, 'repo'), 'rev-parse', 'HEAD'], { encoding: 'utf8' }).trim()
    await succeed(`${git.url}/repo#${commit}`)
  })

  it.each(['#main:out/etc', '#main:link', '#main:..', '#main:sub/../..', '#main:a//../..', '#main:%2e%2e', '#--upload-pack=touch', '#nowhere', '?ref=main&nokey=1'])('is refused with %s', async (end) => {
    const { exitCode, said } = await build(`${git.url}/repo${end}`)
    expect(exitCode, said).not.toBe(0)
    expect(said).not.toContain('bug in tsbuild')
  })

  it('is added without .git, unless it is asked for, and only if it is the right commit', async () => {
    const commit = execFileSync('git', ['-C', join(command.folder, 'repo'), 'rev-parse', 'HEAD'], { encoding: 'utf8' }).trim()
    const lines = (flags: string): string => `FROM busybox\nADD ${flags} ${git.url}/repo#main /r\n`
    await succeed(context('git1', { Dockerfile: lines(`--checksum=${commit}`) }))
    expect(inBuilt('ls -A /r | tr "\\n" " "; stat -c "%u %a" /r/sub/f')).toBe('Dockerfile link out sub 0 644')
    await succeed(context('git2', { Dockerfile: lines('--keep-git-dir=true') }))
    expect(inBuilt('ls -d /r/.git')).toBe('/r/.git')
    expect((await build(context('git3', { Dockerfile: lines(`--checksum=${'0'.repeat(40)}`) }))).said).toContain(`is commit ${commit}, wanted 000`)
  })

  it('runs nothing of what it brings', async () => {
    const canary = join(command.folder, 'canary')
    commitFiles(join(command.folder, 'hostile'), { Dockerfile: 'FROM busybox\nCOPY f /f\n', f: 'x', '.gitattributes': '* filter=evil\n', '.gitmodules': `[submodule "x"]\n\tpath = x\n\turl = ext::sh -c touch% ${canary}\n`, '.githooks/post-checkout': `#!/bin/sh\ntouch ${canary}\n` })
    const { exitCode, said } = await build(`${git.url}/hostile`)
    expect(exitCode, said).toBe(0)
    expect((await build(`ext::sh -c touch% ${canary}`)).exitCode).not.toBe(0)
    expect(existsSync(canary)).toBe(false)
  })
})

describe('an address', () => {
  it('is a context when it has a tar, a Dockerfile otherwise', async () => {
    execFileSync('tar', ['-C', folder, '-czf', join(command.folder, 'context.tgz'), '.'])
    await succeed(`${address}/context.tgz`)
    expect(inBuilt('cat /f')).toBe('content')
    writeFileSync(join(command.folder, 'only.txt'), 'FROM busybox\nRUN echo http >/f\n')
    await succeed(`${address}/only.txt`)
    expect(inBuilt('cat /f')).toBe('http')
  })

  it('is added with mode 600 and the time it has, asked for again only as a question', async () => {
    const path = context('add', { Dockerfile: `FROM busybox\nADD ${address}/context/sub/f?x=1 /d/\nADD ${address}/redirect /r\n` })
    await succeed(path)
    expect(inBuilt('stat -c "%n %a %Y" /d/f /r | tr "\\n" " "')).toBe('/d/f 600 1000000000 /r 600 1000000000')
    asked.length = 0
    const { said } = await build(path)
    expect(said).toMatch(/ADD .*\/d\/\n#\d+ CACHED/u)
    expect(asked).toContain('/context/sub/f?x=1 known')
  })

  it('is checked against a digest, and then not asked for again', async () => {
    const lines = (digest: string): string => `FROM busybox\nADD --checksum=sha256:${digest} ${address}/context/sub/f /f\n`
    const digest = execFileSync('sha256sum', [join(folder, 'sub/f')], { encoding: 'utf8' }).slice(0, 64)
    await succeed(context('sum1', { Dockerfile: lines(digest) }))
    asked.length = 0
    await succeed(context('sum1', { Dockerfile: lines(digest) }))
    expect(asked).toEqual([])
    expect((await build(context('sum2', { Dockerfile: lines('0'.repeat(64)) }))).said).toContain(`its digest is sha256:${digest}`)
  })

  it('is refused for what is not there', async () => {
    expect((await build(context('gone', { Dockerfile: `FROM busybox\nADD ${address}/nothing /\n` }))).said).toContain('it answers 404')
  })
})

describe('--build-context', () => {
  it('gives folders, images, layouts, repositories and addresses to COPY, RUN and FROM', async () => {
    must('save', '--format', 'oci-dir', '-o', join(command.folder, 'layout'), 'busybox')
    const path = context('named', { Dockerfile: 'FROM base AS first\nFROM first\nCOPY --from=dir f /a\nCOPY --from=docker.io/library/some:latest /etc/passwd /b\nCOPY --from=repo sub/f /c\nCOPY --from=archive sub/f /d\nRUN --mount=from=dir,target=/m cp /m/f /e\n' })
    await succeed('--build-context', `base=oci-layout://${join(command.folder, 'layout')}`, '--build-context', `dir=${join(folder, 'sub')}`, '--build-context', 'some=docker-image://busybox', '--build-context', `repo=${git.url}/repo`, '--build-context', `archive=${address}/context.tgz`, path)
    expect(inBuilt('cat /a /c /d /e | sort -u; grep -c root /b')).toBe('content\n1')
  })

  it('takes the place of a stage', async () => {
    const path = context('override', { Dockerfile: 'FROM busybox AS tool\nRUN false\nFROM busybox\nCOPY --from=tool f /f\n' })
    await succeed('--build-context', `tool=${join(folder, 'sub')}`, path)
    expect(inBuilt('cat /f')).toBe('content')
  })

  it('is refused for what is neither', async () => {
    expect((await build('--build-context', 'x=./nowhere', folder)).said).toContain('neither a folder nor')
    expect((await build('--build-context', 'x=target:base', folder)).said).toContain('docker-image://NAME')
    expect((await build('--build-context', 'x=docker-imagee://base', folder)).said).toContain('did you mean docker-image://')
  })
})
