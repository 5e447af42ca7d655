import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, renameSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { writeGccRootfs, writeNodeRootfs, writePythonRootfs } from '../../scripts/tool-rootfs.ts'
import { importBusybox, useCommand } from '../support/command.ts'

const command = useCommand('examples')
const { must, run } = command
const project = join(import.meta.dirname, '..', '..')
const example = (name: string): string => join(project, 'examples', name)

const bases: Readonly<Record<string, (tarPath: string) => void>> = { 'node:24-slim': writeNodeRootfs, 'python:3.11-slim': writePythonRootfs, 'gcc:12': writeGccRootfs }

function importBase(name: string): void {
  const folder = join(tmpdir(), 'tsbuild-e2e-bases')
  mkdirSync(folder, { recursive: true })
  const tar = join(folder, `${name.replace(':', '-')}.tar`)
  if (!existsSync(tar)) {
    bases[name]?.(`${tar}.new`)
    renameSync(`${tar}.new`, tar)
  }
  must('import', '--change', 'ENV PATH=/usr/local/bin:/usr/bin:/bin', tar, name)
}

beforeAll(() => {
  importBusybox(command)
  for (const name of Object.keys(bases)) importBase(name)
})

describe('the examples', () => {
  it('a Node service: tested in one stage, served from another as a plain user', () => {
    const { stderr } = run('build', '--progress', 'plain', '--network', 'none', '-t', 'example/node-service', example('node-service'))
    expect(stderr).toMatch(/(?:# |ℹ )pass 2/u)
    const client = `import('/service/server.js').then(({ start }) => { const server = start(8080); server.once('listening', async () => { const answer = await fetch('http://127.0.0.1:8080/'); console.log(await answer.text(), process.getuid()); server.close() }) })`
    expect(must('run', '--network', 'none', 'example/node-service', 'node', '--eval', client)).toBe('listening on 8080\nhello from node 24\n 1000')
    expect(run('run', '--network', 'none', 'example/node-service', 'ls', '/service').stdout).toBe('package.json\nserver.js\n')
  })

  it('a static C program on scratch: one file, which runs', () => {
    must('build', '--network', 'none', '-t', 'example/static-c', example('static-c'))
    expect(JSON.parse(must('history', '--json', 'example/static-c')) as unknown[]).toHaveLength(2)
    const { stdout } = spawnSync(process.execPath, [join(project, 'bin/tsbuild.cjs'), 'run', '-i', '--network', 'none', 'example/static-c'], { input: 'a\nb\nc\n', encoding: 'utf8', env: { ...process.env, TSBUILD_ROOT: command.root, NODE_EXTRA_CA_CERTS: '' } })
    expect(stdout).toBe('3\n')
  })

  it('a Python app: tested, compiled, and without its tests', () => {
    const { stderr } = run('build', '--progress', 'plain', '--network', 'none', '-t', 'example/python-app', example('python-app'))
    expect(stderr).toContain('Ran 1 test')
    const { stdout } = spawnSync(process.execPath, [join(project, 'bin/tsbuild.cjs'), 'run', '-i', '--network', 'none', 'example/python-app'], { input: 'to be or not to be or', encoding: 'utf8', env: { ...process.env, TSBUILD_ROOT: command.root, NODE_EXTRA_CA_CERTS: '' } })
    expect(stdout).toBe('2 to\n2 be\n2 or\n')
    expect(must('run', '--network', 'none', '--entrypoint', 'ls', 'example/python-app', '/srv/app')).not.toContain('test')
  })

  it('a monorepo: packages share a cache, so that what one has done the other has not to do', () => {
    const repo = join(command.folder, 'monorepo')
    cpSync(example('monorepo'), repo, { recursive: true })
    const build = (target: string): string => run('build', '--progress', 'plain', '--network', 'none', '--target', target, '-t', `example/${target}`, repo).stderr
    expect(build('greet')).toMatch(/transpiled packages\/greet\/greet\.ts/u)
    const second = build('shout')
    expect(second).toMatch(/cached packages\/greet\/greet\.ts/u)
    expect(second).toMatch(/transpiled packages\/shout\/main\.ts/u)
    expect(must('run', '--network', 'none', 'example/greet')).toBe('hello monorepo')
    expect(must('run', '--network', 'none', 'example/shout')).toBe('HELLO MONOREPO')
    expect(run('run', '--network', 'none', 'example/shout', 'ls', '/cache').exitCode).not.toBe(0)
  })

  it('a program that builds from memory through the library', () => {
    const env = { ...process.env, TSBUILD_ROOT: command.root, NODE_EXTRA_CA_CERTS: '' }
    const build = (): string[] => execFileSync(process.execPath, [join(example('library'), 'build.ts')], { encoding: 'utf8', env, cwd: command.folder }).trimEnd().split('\n')
    const first = build()
    expect(first).toContain('hello from memory')
    expect(must('run', '--network', 'none', 'example/library')).toBe('hello from memory')
    const again = build()
    expect(again.filter((line) => line.startsWith('executed'))).toEqual([])
    expect(again.at(-1)).toBe(first.at(-1))
  })
})
