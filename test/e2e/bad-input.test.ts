import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { expectNothingLeft, importBusybox, useCommand } from '../support/command.ts'

const command = useCommand('bad-input')
const { context, must, run } = command
beforeAll(() => { importBusybox(command) })

let count = 0
function build(dockerfile: string, ...args: string[]): ReturnType<typeof run> {
  count += 1
  return run('build', '--progress', 'plain', ...args, context(`case-${count}`, { Dockerfile: dockerfile, file: 'x', '.dockerignore': 'dist\n', 'dist/hidden': '' }))
}

describe('a Dockerfile that is wrong', () => {
  it.each([
    ['an unknown instruction', 'FROM busybox\nRNU true\n', 1, [/Dockerfile:2/u, /RNU/u, /did you mean "RUN"/u]],
    ['a missing source', 'FROM busybox\nCOPY nothing /\n', 1, [/Dockerfile:2/u, /"nothing"/u, /build context has no such file/u]],
    ['a missing source whose name is nearly there', 'FROM busybox\nCOPY fiel /\n', 1, [/"fiel".*did you mean "file"/u]],
    ['a missing folder whose name is nearly there', 'FROM busybox\nCOPY --from=busybox /ect/passwd /\n', 1, [/did you mean "etc\/passwd"/u]],
    ['a source that .dockerignore hides', 'FROM busybox\nCOPY dist/hidden /\n', 1, [/"dist\/hidden": \.dockerignore leaves it out/u]],
    ['a missing source in a stage', 'FROM busybox AS a\nFROM busybox\nCOPY --from=a /nothing /\n', 1, [/Dockerfile:3/u, /"\/nothing"/u]],
    ['a stage that comes later', 'FROM busybox\nCOPY --from=1 /x /\nFROM busybox\n', 1, [/Dockerfile:2/u, /later/u]],
    ['a list that is no list of texts', 'FROM busybox\nCMD ["a", 1]\n', 1, [/Dockerfile:2/u]],
    ['an unknown flag', 'FROM busybox\nCOPY --chwon=1 file /\n', 1, [/Dockerfile:2/u, /--chown/u]],
    ['no FROM', 'RUN true\n', 1, [/Dockerfile:1/u, /FROM/u]],
    ['a file copied over a directory', 'FROM busybox\nCOPY file /x/etc/\nCOPY . /x\nCOPY file /x/case\nRUN mkdir /y\nCOPY <<etc /x/\nq\netc\n', 1, [/Dockerfile:6/u, /directory/u]],
    ['an unknown user', 'FROM busybox\nUSER nobody2\nRUN true\n', 1, [/Dockerfile:3/u, /"nobody2"/u]],
  ])('is refused for %s, with the line and the reason', (_, dockerfile, exitCode, patterns) => {
    const outcome = build(dockerfile)
    expect(outcome.exitCode).toBe(exitCode)
    for (const pattern of patterns) expect(outcome.stderr).toMatch(pattern)
  })

  it('has a log that names a step which fails before it runs', () => {
    expect(build('FROM busybox\nCOPY nothing /\n').stderr).toMatch(/^#2 \[stage-0 2\/2\] COPY nothing \/\n#2 ERROR \d+\.\d+s$/mu)
  })

  it.each(['FROM bilder', 'FROM scratch\nCOPY --from=bilder /etc/passwd /', 'RUN --mount=from=bilder,target=/x true'])('is asked whether it meant a stage: %s', (lines) => {
    expect(build(`FROM busybox AS builder\nRUN true\n${lines}\n`, '--pull=never')).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('did you mean the stage "builder"?') as string })
  })

  it.each(['FROM two AS one\nFROM one AS two', 'FROM two AS two'])('is told that stages are named below themselves only: %s', (stages) => {
    expect(build(`${stages}\n`, '--pull=never')).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('hint: the stage "two" is not above this line, so the name means an image') as string })
  })

  it('is refused for a feature of Docker that is not there yet, by name and line', () => {
    expect(build('FROM busybox\nRUN --security=insecure true\n')).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/Dockerfile:2[^]*RUN --security/u) as string })
  })
})

describe('a step that fails', () => {
  it.each([
    ['its own exit code', 'RUN exit 42', 42, /exit code 42/u],
    ['a command that is not there', 'RUN ["nothing-like-it"]', 127, /"nothing-like-it" was not found/u],
    ['a file that is no program', 'RUN ["/etc/passwd"]', 126, /cannot be executed/u],
    ['a signal', 'RUN kill -TERM $$', 143, /exit code 143/u],
  ])('gives %s', (_, step, exitCode, pattern) => {
    const outcome = build(`FROM busybox\n${step}\n`)
    expect(outcome.exitCode).toBe(exitCode)
    expect(outcome.stderr).toMatch(pattern)
    expect(outcome.stderr).toContain('Dockerfile:2')
  })

  it('names the memory limit that ended it, with its peak, although the shell goes on', () => {
    const outcome = build('FROM busybox\nRUN tail /dev/zero; exit 3\n', '--memory', '32m', '--memory-swap', '32m')
    expect(outcome.exitCode).toBe(3)
    expect(outcome.stderr).toMatch(/ran out of memory: limit 33.6MB, peak 33/u)
    expect(outcome.stderr).toContain('--memory')
  })

  it('names the process limit that ended it', () => {
    const outcome = build('FROM busybox\nRUN for i in 1 2 3 4 5 6 7 8 9 10; do sleep 5 & done; wait; exit 1\n', '--pids-limit', '6')
    expect(outcome.exitCode).not.toBe(0)
    expect(outcome.stderr).toMatch(/ran out of processes: limit 6/u)
  })

  it('keeps what the steps before it made', () => {
    expect(build('FROM busybox\nRUN echo kept >/kept\nRUN exit 1\n').stderr).toMatch(/RUN echo kept >\/kept\n#\d+ DONE/u)
    expect(build('FROM busybox\nRUN echo kept >/kept\nRUN exit 1\n').stderr).toMatch(/RUN echo kept >\/kept\n#\d+ CACHED/u)
  })

  it('leaves nothing behind', async () => {
    await expectNothingLeft(command.root)
  })
})

describe('a command line that is wrong', () => {
  it.each([
    ['an unknown option', ['build', '--tga', 'x', '.'], 2, /--tga.*did you mean --tag/u],
    ['an unknown command', ['biuld'], 2, /did you mean "build"/u],
    ['a context that is not there', ['build', './nowhere'], 1, /"\.\/nowhere".*no folder/u],
    ['a bad size', ['build', '--memory', '1x', '.'], 2, /--memory.*1x/u],
    ['a name that is none', ['build', '-t', 'UPPER', '.'], 1, /"UPPER"/u],
    ['an image that nothing is like', ['inspect', 'toybox-x'], 3, /"toybox-x" in the store$/mu],
    ['an image that is not there', ['inspect', 'busybux'], 3, /did you mean "docker.io\/library\/busybox:latest"/u],
    ['an image to remove that is not there', ['rmi', 'toybox-x'], 3, /"toybox-x" in the store$/mu],
    ['no operand', ['rmi'], 2, /needs IMAGE/u],
    ['an unreachable registry', ['pull', '127.0.0.1:1/x'], 4, /127\.0\.0\.1:1/u],
    ['an archive that is none', ['load', '-i', '/etc/passwd'], 1, /cannot read archive/u],
    ['a root filesystem that is none', ['import', '/etc/passwd', 'x'], 1, /./u],
  ])('is refused for %s', (_, args, exitCode, pattern) => {
    const outcome = run(...args)
    expect(outcome).toMatchObject({ exitCode, stdout: '' })
    expect(outcome.stderr).toMatch(pattern)
    expect(outcome.stderr).not.toContain('bug in tsbuild')
  })

  it('says what is wrong with the Dockerfile it was given', () => {
    const folder = join(command.folder, 'unreadable')
    mkdirSync(join(folder, 'Dockerfile'), { recursive: true })
    chmodSync(folder, 0o755)
    expect(run('build', folder)).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('no regular file') as string })
    expect(run('build', '-f', join(folder, 'Dockerfiel'), folder).stderr).toContain('did you mean "Dockerfile"?')
  })

  it('changes nothing', () => {
    expect(must('images', '-q').split('\n')).toHaveLength(1)
  })
})

it('a file of results on a disk that is full is told, and not left behind empty', () => {
  const disk = join(command.folder, 'full-disk')
  mkdirSync(disk)
  context('small', { Dockerfile: 'FROM busybox\nLABEL small=yes\n' })
  const script = 'mount -t tmpfs -o size=4k none "$0" && head -c 4096 /dev/zero >"$0/filled"; shift; "$@" build -q --metadata-file "$0/metadata" small; "$@" build -q --iidfile "$0/id" small; "$@" report -o "$0/page" latest; ls "$0"'
  const { stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', script, disk, '-', process.execPath, join(import.meta.dirname, '../../bin/tsbuild.cjs')], { cwd: command.folder, encoding: 'utf8', env: { ...process.env, TSBUILD_ROOT: command.root } })
  expect(stderr.match(/^error: cannot write "[^"]*\/(?:metadata|id|page)": its filesystem has not enough room/gmu), stderr).toHaveLength(3)
  expect(stdout).toBe('filled\n')
})

describe('a disk that fills half way through a build', () => {
  it('keeps what was made before, and is not full afterwards of what failed', () => {
    context('full', { Dockerfile: 'FROM busybox\nRUN echo first >/first\nRUN head -c 15000000 /dev/urandom >/second\nRUN head -c 30000000 /dev/urandom >/third\n' })
    const program = join(import.meta.dirname, '../../bin/tsbuild.cjs')
    const disk = join(command.folder, 'disk')
    mkdirSync(disk)
    const script = 'mount -t tmpfs -o size=40m none "$0" && shift && export TSBUILD_ROOT=$0/store && "$@" import busybox.tar busybox && for i in 1 2; do "$@" build --progress plain --network none full; done; df --output=avail -B1 "$0"; "$@" fsck'
    const { stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', script, disk, '-', process.execPath, program], { cwd: command.folder, encoding: 'utf8' })
    expect(stderr.split('error: cannot build stage-0, step 4/4').length, stderr).toBe(3)
    expect(stderr).toContain('the filesystem of its root is full')
    expect(stderr.split(/^#2 \[/mu)[2]).toMatch(/^#2 CACHED$[^]*^#3 CACHED$/mu)
    expect(stderr).not.toContain('cleaning up')
    expect(Number(/^(\d{3,})$/mu.exec(stdout)?.[1]), stdout).toBeGreaterThan(15_000_000)
    expect(stdout).toContain('clean')
  })
})
