import type { ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { getAddon } from '../../native/index.ts'
import { expectNothingLeft, importBusybox, useCommand } from '../support/command.ts'

const command = useCommand('cache')
const { context, must, run, start } = command
beforeAll(() => { importBusybox(command) })

async function outcome(child: ChildProcess): Promise<{ readonly exitCode: number | null; readonly stderr: string }> {
  if (child.stderr === null) throw new TypeError('the process has no stderr')
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const stderr = await text(child.stderr)
  return { exitCode: await ended, stderr }
}

/** Why steps were run, without their names. */
function causes(...args: readonly string[]): string[] {
  const { stderr, exitCode } = run('build', '-q', '--network', 'none', '--explain-cache', ...args)
  expect(exitCode, stderr).toBe(0)
  return stderr.trimEnd().split('\n').map((line) => line.split(': ').at(-1) ?? '')
}

describe('the cache of steps', () => {
  it('runs a step once that two processes come to at the same time', async () => {
    const path = context('twice', { Dockerfile: 'FROM busybox\nRUN sleep 0.7; cat /proc/uptime >/first\nRUN cat /first /proc/uptime >/second\n' })
    const args = ['build', '--progress', 'plain', '--network', 'none', path]
    const outcomes = await Promise.all([outcome(start(...args)), outcome(start(...args)), outcome(start(...args))])
    const all = outcomes.map(({ stderr }) => stderr).join('')
    expect(outcomes.map(({ exitCode }) => exitCode), all).toEqual([0, 0, 0])
    expect(all.match(/RUN sleep[^\n]*\n#\d+ DONE/gu), all).toHaveLength(1)
    expect(new Set(outcomes.map(({ stderr }) => /exported (\S+)/u.exec(stderr)?.[1])).size).toBe(1)
  })

  it('stops everything at the first failure, keeps what was made, and leaves nothing running', async () => {
    const meeting = '--mount=type=cache,id=meeting,target=/m'
    const path = context('failing', {
      Dockerfile: `FROM busybox AS slow\nRUN ${meeting} echo slow began; touch /m/began; sleep 1000\nFROM busybox AS failing\nRUN echo before >/kept\nRUN ${meeting} until test -e /m/began; do sleep 0.05; done; sleep 0.3; echo it failed; exit 3\nFROM scratch\nCOPY --from=slow / /\nCOPY --from=failing / /\n`,
    })
    const { exitCode, stderr } = run('build', '--progress', 'plain', '--network', 'none', path)
    expect(exitCode).toBe(3)
    // In whichever order they are read on a busy machine.
    for (const said of [/slow began$/mu, /it failed$/mu]) expect(stderr).toMatch(said)
    expect(stderr).toMatch(/#\d+ CANCELED/u)
    await expectNothingLeft(command.root)
    expect(run('build', '--progress', 'plain', '--network', 'none', '--target', 'failing', path).stderr).toMatch(/kept\n#\d+ CACHED/u)
  })

  it('runs the steps of the stages of --no-cache-filter and those with cache=off', () => {
    const path = context('filter', { Dockerfile: 'FROM busybox AS one\nRUN touch -d @1 /1\nFROM one AS two\n# tsbuild: cache=off\nRUN touch -d @1 /2\nRUN echo 3 >/3\n' })
    must('build', '-q', '--network', 'none', path)
    expect(causes(path)).toEqual(['its cache is off'])
    expect(causes('--no-cache-filter', 'ONE', path)).toEqual(['its cache is off', 'its cache is off'])
    expect(run('build', '--no-cache-filter', 'none-such', '--network', 'none', path).stderr).toContain('no steps of a stage "none-such"')
  })
})

describe('COPY --link', () => {
  it('keeps its layer when what it lies on changes, and says so', () => {
    const dockerfile = (base: string): string => `FROM busybox\nRUN echo ${base} >/base; ln -s base /link\nCOPY --link a /link/to/\nCOPY --link --chown=5:6 a /owned\nRUN cat /base /link/to/a >/read\n`
    const path = context('linked', { Dockerfile: dockerfile('1'), a: 'copied' })
    const layers = (name: string): unknown[] => (JSON.parse(must('inspect', name)) as { RootFS: { Layers: unknown[] } }[])[0]?.RootFS.Layers ?? []
    must('build', '-q', '--network', 'none', '-t', 'linked:1', path)
    writeFileSync(join(path, 'Dockerfile'), dockerfile('2'))
    const kept = expect.stringMatching(/^its layer is kept, though what it lies on changed \(\w{12} → \w{12}\)$/u) as string
    expect(causes('-t', 'linked:2', path)).toEqual([expect.stringMatching(/^instruction changed/u), kept, kept, expect.stringMatching(/^what it is built on changed/u)])
    const [one, two] = [layers('linked:1'), layers('linked:2')]
    expect(two.slice(-3, -1)).toEqual(one.slice(-3, -1))
    expect(two.at(-4)).not.toEqual(one.at(-4))
    expect(must('run', '--network', 'none', 'linked:2', 'sh', '-c', 'cat /read; stat -c %u:%g /owned')).toBe('2\ncopied5:6')
    expect(causes('-t', 'linked:3', path)).toEqual(['every step came from the cache'])
    must('gc')
    writeFileSync(join(path, 'a'), 'changed')
    expect(causes(path)[0]).toMatch(/^file a changed/u)
  })

  it('looks its owner up in the base, and so is made again on another one', () => {
    const dockerfile = (uid: number): string => `FROM busybox\nRUN echo worker:x:${uid}:${uid}::/:/bin/sh >>/etc/passwd\nCOPY --link --chown=worker a /owned\n`
    const path = context('linked-owner', { Dockerfile: dockerfile(11), a: 'x' })
    must('build', '-q', '--network', 'none', path)
    writeFileSync(join(path, 'Dockerfile'), dockerfile(12))
    must('build', '-q', '--network', 'none', '-t', 'owned:1', path)
    expect(must('run', '--network', 'none', 'owned:1', 'stat', '-c', '%u', '/owned')).toBe('12')
  })
})

it('a file that gets a capability is another file, although its content and times of change are known', async () => {
  const path = context('capable', { Dockerfile: 'FROM busybox\nCOPY tool /tool\n', tool: 'x' })
  // What is known of a file is kept once its times are so old that any later change shows in them.
  await sleep(2100)
  must('build', '-q', '--network', 'none', path)
  expect(causes(path)).toEqual(['every step came from the cache'])
  getAddon().setXattr(join(path, 'tool'), 'security.capability', Buffer.from('0100000200040000000000000000000000000000', 'hex'))
  expect(causes(path)[0]).toMatch(/^file tool changed/u)
  must('build', '-q', '--network', 'none', '-t', 'capable:1', path)
  expect(causes(path)).toEqual(['every step came from the cache'])
})

describe('--explain-cache', () => {
  it('names the first thing that changed', () => {
    const dockerfile = 'FROM busybox\nARG WHO=a\nCOPY src /src\nRUN echo $WHO >/who\nWORKDIR /src\n'
    const path = context('explained', { Dockerfile: dockerfile, 'src/a': '1', 'src/deep/b': '2' })
    const never = 'never built with this store'
    const above = expect.stringMatching(/^what it is built on changed \(\w{12} → \w{12}\)$/u) as string
    expect(causes(path)).toEqual([never, never, never])
    expect(causes(path)).toEqual(['every step came from the cache'])
    expect(causes('--build-arg', 'WHO=b', path)).toEqual(['arg WHO changed', above])
    writeFileSync(join(path, 'src/deep/b'), '3')
    expect(causes(path)).toEqual([expect.stringMatching(/^file src\/deep\/b changed \(\w{12} → \w{12}\)$/u), above, above])
    writeFileSync(join(path, 'src/c'), '4')
    expect(causes(path)[0]).toBe('file src/c is new')
    writeFileSync(join(path, 'Dockerfile'), dockerfile.replace('COPY src', 'COPY --chown=1:1 src'))
    expect(causes(path)[0]).toBe('instruction changed (COPY src /src → COPY --chown=1:1 src /src)')
  })
})

describe('--explain-cache, of a RUN,', () => {
  const edits: readonly (readonly [what: string, before: string, after: string, cause: RegExp])[] = [
    ['names the variable', 'ENV A=1\nRUN true', 'ENV A=2\nRUN true', /^env A changed$/u],
    ['names the argument', 'ARG B=1\nRUN true', 'ARG B=2\nRUN true', /^arg B changed$/u],
    ['names the argument that is gone', 'ARG C=1\nRUN true', 'RUN true', /^arg C changed$/u],
    ['names the variable that counts more than an argument', 'ARG D=0\nENV D=1\nRUN true', 'ARG D=0\nENV D=2\nRUN true', /^env D changed$/u],
    ['shows the text before and after', 'RUN true', 'RUN :', /^instruction changed \(RUN true → RUN :\)$/u],
    ['shows the base before and after', 'RUN echo 1 >/b\nRUN true', 'RUN echo 2 >/b\nRUN true', /^what it is built on changed \(\w{12} → \w{12}\)$/u],
    ['names the working directory', 'WORKDIR /tmp\nRUN true', 'WORKDIR /bin\nRUN true', /^workdir changed \(\/tmp → \/bin\)$/u],
  ]
  it.each(edits)('%s', (what, before, after, cause) => {
    const path = context(`run-${what.replaceAll(/\W/gu, '-')}`, { Dockerfile: `FROM busybox\n${before}\n` })
    must('build', '-q', '--network', 'none', path)
    writeFileSync(join(path, 'Dockerfile'), `FROM busybox\n${after}\n`)
    expect(causes(path).at(-1)).toMatch(cause)
  })

  it('names the mount that is another', () => {
    const path = context('namespaced', { Dockerfile: 'FROM busybox\nRUN --mount=type=cache,target=/c true\n' })
    must('build', '-q', '--network', 'none', path)
    expect(causes('--build-arg', 'BUILDKIT_CACHE_MOUNT_NS=other', path)).toEqual([expect.stringMatching(/^mount \/c changed \(.+ → .+\)$/u)])
  })

  it('names the mount whose files changed', () => {
    const path = context('mounted', { Dockerfile: 'FROM busybox\nRUN --mount=type=bind,source=in,target=/in true\n', 'in/a': '1' })
    must('build', '-q', '--network', 'none', path)
    writeFileSync(join(path, 'in/a'), '2')
    expect(causes(path)).toEqual([expect.stringMatching(/^mount \/in content changed \(\w{12} → \w{12}\)$/u)])
  })

  it('says when the image of FROM is another', () => {
    const path = context('rebased', { Dockerfile: 'FROM base:1\nRUN true\n' })
    must('tag', 'busybox', 'base:1')
    must('build', '-q', '--network', 'none', path)
    must('build', '-q', '--network', 'none', '-t', 'base:1', context('new-base', { Dockerfile: 'FROM busybox\nRUN echo new >/new\n' }))
    expect(causes(path)).toEqual([expect.stringMatching(/^what it is built on changed \(\w{12} → \w{12}\)$/u)])
  })
})

describe('a change of', () => {
  const files = { a: '1', 'dir/b': '2', 'dir/c.md': '3' }
  it.each([
    ['the shell', 'RUN true', 'SHELL ["/bin/sh", "-e", "-c"]\nRUN true'],
    ['the user', 'RUN true', 'USER 5\nRUN true'],
    ['a heredoc', 'RUN <<E\necho 1 >/x\nE', 'RUN <<E\necho 2 >/x\nE'],
    ['a build argument in scope', 'ARG SCOPED=1\nRUN true', 'ARG SCOPED=2\nRUN true'],
    ['a mount', 'RUN --mount=type=tmpfs,target=/t true', 'RUN --mount=type=tmpfs,target=/u true'],
    ['the source of a mount', 'RUN --mount=type=bind,source=a,target=/t true', 'RUN --mount=type=bind,source=dir/b,target=/t true'],
    ['the owner of a copy', 'COPY a /', 'COPY --chown=5 a /'],
    ['the mode of a copy', 'COPY a /', 'COPY --chmod=600 a /'],
    ['the destination of a copy', 'COPY a /x', 'COPY a /y'],
    ['what a copy leaves out', 'COPY dir /', 'COPY --exclude=*.md dir /'],
    ['the parents of a copy', 'COPY dir/b /', 'COPY --parents dir/b /'],
    ['a link in a copy', 'COPY a /', 'COPY --link a /'],
    ['what a heredoc copies', 'COPY <<E /x\n1\nE', 'COPY <<E /x\n2\nE'],
    ['the working directory that is made', 'WORKDIR /x', 'WORKDIR /y'],
    ['the image that is copied from', 'COPY --from=busybox /bin/busybox /x', 'COPY --from=busybox /etc/passwd /x'],
  ])('%s runs the step again', (what, before, after) => {
    const path = context(`change-${what.replaceAll(/\W/gu, '-')}`, { Dockerfile: `FROM busybox\n${before}\n`, ...files })
    must('build', '-q', '--network', 'none', path)
    writeFileSync(join(path, 'Dockerfile'), `FROM busybox\n# it is another\n${after}\n`)
    expect(causes(path).at(-1)).not.toBe('every step came from the cache')
  })

  it.each([
    ['HEALTHCHECK', 'HEALTHCHECK CMD true', 'HEALTHCHECK CMD false'], ['ONBUILD', 'ONBUILD RUN true', 'ONBUILD RUN false'], ['STOPSIGNAL', 'STOPSIGNAL 1', 'STOPSIGNAL 2'],
    ['CMD', 'CMD a', 'CMD b'], ['ENTRYPOINT', 'ENTRYPOINT a', 'ENTRYPOINT b'], ['EXPOSE', 'EXPOSE 1', 'EXPOSE 2'], ['VOLUME', 'VOLUME /a', 'VOLUME /b'], ['LABEL', 'LABEL a=1', 'LABEL a=2'],
  ])('%s is another image, also on scratch', (what, before, after) => {
    const ids = [before, after].map((line) => must('build', '-q', context(`config-${what}`, { Dockerfile: `FROM scratch\n${line}\n` })))
    expect(ids[0]).not.toBe(ids[1])
  })
})

it('a pulled or tagged image whose history imitates a step is not taken for its result', () => {
  const path = context('imitated', { Dockerfile: 'FROM busybox\nRUN echo honest >/made\n' })
  must('build', '-q', '--network', 'none', '-t', 'imitator:1', context('imitator', { Dockerfile: 'FROM busybox\nRUN echo evil >/made\n' }))
  must('save', '-o', join(command.folder, 'imitator.tar'), 'imitator:1')
  must('load', '-i', join(command.folder, 'imitator.tar'))
  expect(causes(path)).not.toEqual(['every step came from the cache'])
  must('build', '-q', '--network', 'none', '-t', 'honest:1', path)
  expect(must('run', '--network', 'none', 'honest:1', 'cat', '/made')).toBe('honest')
})

describe('--pull', () => {
  it('never asks a registry when told so', () => {
    const path = context('never', { Dockerfile: 'FROM nobody.invalid/has/this:1\n' })
    expect(run('build', '--pull=never', path)).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('forbids to ask a registry') as string })
  })

  it('takes the image of the store when no newer one can be had', () => {
    const path = context('newer', { Dockerfile: 'FROM nobody.invalid/base:1\n' })
    must('tag', 'busybox', 'nobody.invalid/base:1')
    const { exitCode, stderr } = run('build', '--pull=newer', path)
    expect(exitCode, stderr).toBe(0)
    expect(stderr).toContain('using "nobody.invalid/base:1" of the store')
    expect(run('build', '--pull', path).exitCode).not.toBe(0)
  })
})
