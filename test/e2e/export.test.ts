import { execFileSync } from 'node:child_process'
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'

const command = useCommand('export')
const { context, folder, must, run } = command

beforeAll(() => {
  importBusybox(command)
  must('build', '-q', '--network', 'none', '-t', 'app', context('app', { Dockerfile: 'FROM busybox\nRUN mkdir /d && echo 1 >/d/1 && ln /d/1 /d/2 && chmod 4711 /d/1 && ln -s 1 /d/s\nRUN rm /bin/yes\n' }))
})

describe('export', () => {
  it('writes the root filesystem of an image as a tar, which makes the same image again', () => {
    must('export', '-o', 'app.tar', 'app')
    const names = execFileSync('tar', ['-tf', 'app.tar'], { cwd: folder, encoding: 'utf8' }).split('\n')
    expect(names).toEqual(expect.arrayContaining(['d/', 'd/1', 'd/2', 'd/s', 'bin/busybox']))
    expect(names).not.toContain('bin/yes')
    must('import', 'app.tar', 'again')
    // A folder "app" is there as well, without images in it. As docker's, the tar has no entry for the root itself.
    expect(must('layer', 'diff', 'app', 'again')).toMatch(/^- \/ +0B +IMPORT$/u)
    expect(must('run', '--network', 'none', 'again', 'sh', '-c', 'stat -c "%a %h" /d/1; cat /d/s')).toBe('4711 2\n1')
  })

  it('writes into a folder when the path ends like one, and leaves what else is there', () => {
    mkdirSync(join(folder, 'rootfs'))
    writeFileSync(join(folder, 'rootfs/mine'), 'mine')
    must('export', '-o', 'rootfs/', 'app')
    expect(lstatSync(join(folder, 'rootfs/d/1'))).toMatchObject({ mode: 0o104711, nlink: 2 })
    expect(readFileSync(join(folder, 'rootfs/mine'), 'utf8')).toBe('mine')
  })

  it('refuses what it cannot write, leaving nothing', () => {
    const before = readdirSync(folder)
    expect(run('export', '-o', 'no.tar', 'nosuch')).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('cannot find image "nosuch"') as string })
    expect(run('export', '-o', 'no.tar', '--platform', 'linux/s390x', 'app')).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('not linux/s390x') as string })
    expect(run('export', '-o', 'rootfs', 'app')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('it is a folder') as string })
    must('run', '-d', '--network', 'none', '--name', 'ended', 'app', 'true')
    expect(run('export', 'ended')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('"ended" is a container') as string })
    must('wait', 'ended')
    must('rm', 'ended')
    expect(readdirSync(folder)).toEqual(before)
  })
})

describe('save', () => {
  it('leaves nothing where it was to write an image that is not there', () => {
    const before = readdirSync(folder)
    for (const format of ['oci-archive', 'docker-archive', 'oci-dir']) expect(run('save', '--format', format, '-o', 'no', 'nosuch').exitCode).toBe(3)
    expect(readdirSync(folder)).toEqual(before)
  })

  it('refuses to write a folder where one is, and leaves that as it is', () => {
    must('save', '--format', 'oci-dir', '-o', 'taken', 'busybox')
    const before = [readdirSync(folder), readFileSync(join(folder, 'taken/index.json'), 'utf8')]
    expect(run('save', '--format', 'oci-dir', '-o', 'taken', 'app')).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/cannot write ".*taken": it is there already/u) as string })
    expect([readdirSync(folder), readFileSync(join(folder, 'taken/index.json'), 'utf8')]).toEqual(before)
  })

  it('writes what docker load reads as well, in one archive with the layout', () => {
    must('tag', 'app', 'second')
    must('save', '-o', 'both.tar', 'app', 'second', 'busybox')
    const names = execFileSync('tar', ['-tf', 'both.tar'], { cwd: folder, encoding: 'utf8' }).split('\n')
    const entries = JSON.parse(execFileSync('tar', ['-xOf', 'both.tar', 'manifest.json'], { cwd: folder, encoding: 'utf8' })) as { Config: string; RepoTags: string[]; Layers: string[] }[]
    expect(entries.map(({ RepoTags }) => RepoTags)).toEqual([['app:latest', 'second:latest'], ['busybox:latest']])
    for (const { Config, Layers } of entries) expect(names).toEqual(expect.arrayContaining([Config, ...Layers]))
    const index = JSON.parse(execFileSync('tar', ['-xOf', 'both.tar', 'index.json'], { cwd: folder, encoding: 'utf8' })) as { manifests: { digest: string }[] }
    must('rmi', '-f', 'app', 'second')
    expect(must('load', '-i', 'both.tar').split('\n')).toEqual(expect.arrayContaining(['Loaded image: docker.io/library/app:latest', 'Loaded image: docker.io/library/second:latest']))
    expect(must('inspect', '-f', '{{.Descriptor.digest}}', 'app')).toBe(index.manifests[0]?.digest)
  })
})

describe('load', () => {
  it('reads archives that are compressed, and folders', () => {
    must('save', '-o', 'app.oci', 'app')
    must('save', '--format', 'oci-dir', '-o', 'app.dir', 'app')
    const ids = must('load', '-q', '-i', 'app.oci')
    for (const program of ['gzip', 'xz']) {
      execFileSync(program, ['-1', '-k', 'app.oci'], { cwd: folder })
      expect(must('load', '-q', '-i', `app.oci.${program === 'gzip' ? 'gz' : 'xz'}`)).toBe(ids)
    }
    expect(must('load', '-q', '-i', 'app.dir')).toBe(ids)
    expect(must('layer', 'ls', './app.oci.gz')).toBe(must('layer', 'ls', './app.oci'))
  })

  it('says what it was given in place of an archive', () => {
    writeFileSync(join(folder, 'text'), 'no archive')
    execFileSync('gzip', ['-k', 'text'], { cwd: folder })
    execFileSync('sh', ['-c', 'head -c 1000 app.oci.gz >cut.gz'], { cwd: folder })
    expect(run('load', '-i', 'nosuch')).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/^error: cannot use "nosuch": no such file or directory \(ENOENT\)\n$/u) as string })
    for (const path of ['text', 'text.gz']) expect(run('load', '-i', path)).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('it is no complete tar') as string })
    expect(run('load', '-i', 'cut.gz')).toMatchObject({ exitCode: 1, stderr: expect.not.stringContaining('bug') as string })
    expect(run('load', '-i', 'rootfs')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('it has no "index.json"') as string })
  })
})
