import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'

const command = useCommand('guard')
const { context, must, run } = command
const value = 'correct-horse-battery/staple+42'
const token = join(command.folder, 'token')
const secret = ['--secret', `id=t,src=${token}`]
beforeAll(() => {
  importBusybox(command)
  writeFileSync(token, `${value}\n`)
})

const mount = 'RUN --mount=type=secret,id=t'
const encodings = [value, Buffer.from(value).toString('base64'), Buffer.from(value).toString('hex'), encodeURIComponent(value)]

/** Files below a folder that hold the value in any form. */
function filesWithValue(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => {
    const full = join(folder, path)
    if (!statSync(full, { throwIfNoEntry: false })?.isFile()) return false
    const text = readFileSync(full, 'latin1')
    return encodings.some((encoding) => text.includes(encoding))
  })
}

describe('a build that would keep the value of a secret', () => {
  it.each([
    ['in a file, as base64', `${mount} mkdir /app && cat /run/secrets/t | base64 > /app/c`, 'file "/app/c", base64'],
    ['in a file, as it is', `${mount} cp /run/secrets/t /etc/t`, 'file "/etc/t"'],
    ['in a file, as hex', `${mount} head -c -1 /run/secrets/t | od -An -v -tx1 > /c`, 'file "/c", hex'],
    ['in a file, for a URL', `${mount} sed 's,/,%2F,;s,+,%2B,' /run/secrets/t > /c`, 'file "/c", url-encoded'],
    ['in a compressed file', `${mount} mkdir /app && tar -czf /app/backup.tgz -C /run/secrets t`, 'file "/app/backup.tgz", compressed by gzip'],
    ['in the name of a link', `${mount} ln -s "$(cat /run/secrets/t)" /link`, 'link target of "/link"'],
    ['in a copied file', 'COPY copied /', 'file "/copied"'],
    ['in the environment', `ENV TOKEN=${value}`, 'Dockerfile, line 2'],
    ['through a build argument, in a label', 'ARG A\nLABEL a=$A', 'Labels a'],
    ['through a build argument of a RUN', 'ARG A\nRUN true', 'env A'],
  ])('fails and says where: %s', (what, lines, place) => {
    const path = context(what.replaceAll(/\W/gu, '-'), { Dockerfile: `FROM busybox\n${lines}\n`, copied: `a ${value} b` })
    const { exitCode, stdout, stderr } = run('build', '--progress', 'plain', '-t', 'leaky:1', '--build-arg', `A=${value}`, ...secret, path)
    expect(exitCode).toBe(1)
    expect(stderr).toContain('cannot keep the value of a secret: "t" is in ')
    expect(stderr).toContain(place)
    for (const encoding of encodings) expect(stdout + stderr).not.toContain(encoding)
    expect(run('inspect', 'leaky:1').exitCode).toBe(3)
    expect(run('build', '--progress', 'plain', '--build-arg', `A=${value}`, ...secret, path).exitCode).toBe(1)
  })

  it('fails also when a copied file holds it compressed', () => {
    const path = context('archive', { Dockerfile: 'FROM busybox\nCOPY . /\n', a: 'a', z: 'z' })
    writeFileSync(join(path, 'old.gz'), gzipSync(`a ${value} b`))
    const { exitCode, stderr } = run('build', '--progress', 'plain', ...secret, path)
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining('"t" is in file "/old.gz", compressed by gzip') as string })
  })

  it('is told where more was compressed than was searched, and keeps that with the build', () => {
    const path = context('much', { Dockerfile: 'FROM busybox\nCOPY many.gz /\nRUN cp /many.gz /again.gz\n' })
    writeFileSync(join(path, 'many.gz'), gzipSync(Buffer.alloc(9 << 20)))
    expect(run('build', '--progress', 'plain', '--no-cache', path).stderr).not.toContain('SecretSearchCut')
    const { exitCode, stderr } = run('build', '--progress', 'plain', '--no-cache', ...secret, path)
    const warning = 'SecretSearchCut: secrets were looked for in the beginning only of file "/many.gz", of file "/again.gz": '
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringContaining(`warning: ${warning}`) as string })
    expect(must('history', 'show', 'latest')).toContain(warning)
  })

  it('stores nothing of it', () => {
    must('gc')
    expect(filesWithValue(command.root)).toEqual([])
  })
})

describe('the log of a step that prints a secret', () => {
  it('has *** in its place, on the screen, in JSON and in the record, and the build fails and keeps nothing', () => {
    const path = context('printed', { Dockerfile: `FROM busybox\n${mount} echo first; cat /run/secrets/t; for part in correct-horse -battery; do printf %s $part; sleep 0.1; done; echo /staple+42; base64 /run/secrets/t\n` })
    const { exitCode, stderr } = run('build', '--progress', 'plain', '-t', 'printed:1', ...secret, path)
    expect(exitCode).toBe(1)
    expect(stderr).toContain('cannot keep the value of a secret: "t" is in the log, line 2 of stdout')
    expect(stderr.match(/\*\*\*/gu)?.length).toBeGreaterThanOrEqual(3)
    expect(run('inspect', 'printed:1').exitCode).toBe(3)
    expect(must('history', 'logs', 'latest', '2').split('\n').slice(0, 2)).toEqual(['first', '***'])
    const json = run('build', '--no-cache', '--progress', 'json', ...secret, path)
    for (const encoding of encodings) expect(stderr + json.stdout + json.stderr + must('history', 'logs', 'latest')).not.toContain(encoding)
    expect(filesWithValue(command.root)).toEqual([])
  })

  it('fails a step whose later attempt prints nothing', () => {
    const path = context('retried', { Dockerfile: `FROM busybox\n# tsbuild: retry=1\nRUN --mount=type=secret,id=t --mount=type=cache,target=/c if [ -e /c/again ]; then exit 0; fi; touch /c/again; cat /run/secrets/t >&2; exit 4\n` })
    const { exitCode, stderr } = run('build', '--progress', 'plain', ...secret, path)
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining('"t" is in the log, line 1 of stderr') as string })
  })

  it('leaves a failed command its exit code, and warns', () => {
    const path = context('failed', { Dockerfile: `FROM busybox\n${mount} base64 /run/secrets/t; exit 4\n` })
    const { exitCode, stderr } = run('build', '--progress', 'plain', ...secret, path)
    expect({ exitCode, stderr }).toEqual({ exitCode: 4, stderr: expect.stringContaining('warning: SecretInLog: the value of secret "t" is in the log, line 1 of stdout, base64') as string })
  })

  it('is as it was for a secret that is used and not kept', () => {
    const path = context('used', { Dockerfile: `FROM busybox\n${mount} wc -c < /run/secrets/t > /size; touch /run/x\n` })
    const { exitCode, stderr } = run('build', '--progress', 'plain', '-t', 'used:1', ...secret, path)
    expect({ exitCode, warned: stderr.includes('warning') }).toEqual({ exitCode: 0, warned: false })
    expect(execFileSync('/bin/echo', [must('run', '--network', 'none', 'used:1', 'cat', '/size')], { encoding: 'utf8' }).trim()).toBe(String(value.length + 1))
  })
})

it('a secret too short to be looked for is said to be so', () => {
  writeFileSync(join(command.folder, 'short'), 'abc\n')
  const { exitCode, stderr } = run('build', '--progress', 'plain', '--secret', `id=pin,src=${join(command.folder, 'short')}`, join(command.folder, 'used'))
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringContaining('"pin" is too short') as string })
})
