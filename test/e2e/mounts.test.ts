import type { ChildProcess } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { expectNothingLeft, importBusybox, useCommand } from '../support/command.ts'

const command = useCommand('mounts')
const { context, must, run } = command
beforeAll(() => { importBusybox(command) })

let builds = 0
/** Builds these lines, a stage on busybox before them. */
function build(lines: readonly string[], ...options: readonly string[]): ReturnType<typeof run> {
  builds += 1
  const path = context(`build-${builds}`, {
    Dockerfile: `FROM busybox\n${lines.join('\n')}\n`, '.dockerignore': 'hidden\n', hidden: '', 'sub/file': 'content\n', 'secret-file': 'from a file',
  })
  return run('build', '--progress', 'plain', '-t', `mounts:${builds}`, ...options, path)
}
const succeed = (lines: readonly string[], ...options: readonly string[]): string => {
  const { exitCode, stderr } = build(lines, ...options)
  expect(stderr).not.toContain('error:')
  expect(exitCode).toBe(0)
  return stderr
}
const fail = (lines: readonly string[], ...options: readonly string[]): string => {
  const { exitCode, stderr } = build(lines, ...options)
  expect(exitCode).not.toBe(0)
  return stderr
}
const inLatest = (script: string): string => must('run', '--network', 'none', `mounts:${builds}`, 'sh', '-c', script)

describe('RUN --mount=type=bind', () => {
  it('shows the build context as root\'s, without what is ignored, read-only', () => {
    succeed(['RUN --mount=target=/ctx test "$(stat -c %u /ctx/sub/file)" = 0 && ! test -e /ctx/hidden && ! touch /ctx/new', 'RUN --mount=source=sub/file,target=/one/file cat /one/file >/copied'])
    expect(inLatest('cat /copied; ls -d /one /ctx 2>/dev/null || true')).toBe('content')
  })

  it('lets writes vanish from the context and from later steps', () => {
    succeed(['RUN --mount=target=/ctx,rw echo changed >/ctx/sub/file && rm /ctx/Dockerfile && touch /ctx/new', 'RUN --mount=target=/ctx test "$(cat /ctx/sub/file)" = content && ! test -e /ctx/new'])
    expect(readFileSync(join(command.folder, `build-${builds}`, 'sub/file'), 'utf8')).toBe('content\n')
    expect(existsSync(join(command.folder, `build-${builds}`, 'new'))).toBe(false)
  })

  it('follows a link of a stage inside that stage', () => {
    writeFileSync(join(command.folder, 'canary'), 'of the host')
    succeed(['FROM busybox AS linked', 'RUN ln -s / /link && echo here >/marker', 'FROM busybox', 'RUN --mount=from=linked,source=/link,target=/m cat /m/marker'])
    expect(fail(['FROM busybox AS next', `RUN ln -s ${command.folder} /out`, 'FROM busybox', 'RUN --mount=from=next,source=/out/canary,target=/m cat /m'])).toContain('has no such file')
  })

  it('is looked up by what it shows', () => {
    const lines = ['RUN --mount=source=sub,target=/m cat /m/file >/o']
    succeed(lines)
    expect(succeed(lines)).toMatch(/RUN --mount.*\n#\d+ CACHED/u)
    const path = join(command.folder, `build-${builds}`)
    writeFileSync(join(path, 'sub/file'), 'changed\n')
    expect(run('build', '--progress', 'plain', path).stderr).toMatch(/RUN --mount.*\n#\d+ DONE/u)
  })

  it('names what is not there', () => {
    const said = fail(['RUN --mount=source=nothing,target=/m true'])
    expect(said).toContain('cannot copy "nothing": the build context has no such file')
    expect(said).toContain('RUN --mount=source=nothing')
  })
})

describe('RUN --mount=type=cache', () => {
  it('keeps what it holds between builds and out of layers', () => {
    succeed(['RUN --mount=type=cache,target=/c echo first >/c/log'])
    succeed(['RUN --mount=type=cache,target=/c cat /c/log >/seen', 'RUN test ! -e /c'])
    expect(inLatest('cat /seen')).toBe('first')
  })

  it('is another one for another id, owner, mode or namespace', () => {
    succeed(['RUN --mount=type=cache,id=own,target=/c touch /c/mine'])
    for (const options of ['id=other', 'id=own,uid=5', 'id=own,mode=0700']) succeed([`RUN --mount=type=cache,target=/c,${options} test ! -e /c/mine`])
    succeed(['RUN --mount=type=cache,id=own,target=/elsewhere ls /elsewhere >/seen'])
    expect(inLatest('cat /seen')).toBe('mine')
    succeed(['RUN --mount=type=cache,id=own,target=/c test ! -e /c/mine # by namespace'], '--build-arg', 'BUILDKIT_CACHE_MOUNT_NS=other')
  })

  it('has the owner and mode that are asked for', () => {
    succeed(['RUN --mount=type=cache,target=/c,uid=7,gid=8,mode=0750 stat -c "%u %g %a" /c >/seen'])
    expect(inLatest('cat /seen')).toBe('7 8 750')
  })

  it('begins with the directory of a stage', () => {
    const mount = 'RUN --mount=type=cache,id=seeded,from=seed,source=/tree,target=/c'
    succeed(['FROM busybox AS seed', 'RUN mkdir -p /tree/sub && echo seed >/tree/sub/f && chown 5 /tree/sub', 'FROM busybox', `${mount} stat -c %u /c/sub >/seen && cat /c/sub/f >>/seen && rm /c/sub/f`, `${mount} test ! -e /c/sub/f`])
    expect(inLatest('cat /seen')).toBe('5\nseed')
  })

  it('lies below the store whatever its id is', () => {
    for (const id of ['../../../../etc', '/', '..', 'ä'.repeat(500)]) succeed([`RUN --mount=type=cache,id=${id},target=/c touch /c/hostile`])
    expect(existsSync('/etc/hostile')).toBe(false)
  })

  it('is used by one step after the other when locked, also by several processes', async () => {
    const path = context('locked', { Dockerfile: 'FROM busybox\nARG N\nRUN --mount=type=cache,sharing=locked,target=/c test ! -e /c/busy && touch /c/busy && sleep 0.3 && rm /c/busy\n' })
    const ends = await Promise.all(['1', '2', '3'].map((n) => ended(command.start('build', '--build-arg', `N=${n}`, path))))
    expect(ends).toEqual([0, 0, 0])
  })

  it('is one each when private, and one for all when shared', async () => {
    const meet = (folder: string): string => `for i in $(seq 600); do test $(ls ${folder} | wc -l) = 2 && break; sleep 0.05; done; test $(ls ${folder} | wc -l) = 2`
    const builder = (sharing: string, script: string) => async (n: string): Promise<number | null> => ended(command.start('build', '--build-arg', `N=${n}`, context(`${sharing}-${n}`, { Dockerfile: `FROM busybox\nARG N\nRUN --mount=type=cache,id=${sharing},sharing=${sharing},target=/c --mount=type=cache,id=${sharing}-both,target=/both touch /c/$N /both/$N; ${script}\n` })))
    expect(await Promise.all(['1', '2'].map(builder('shared', meet('/c'))))).toEqual([0, 0])
    expect(await Promise.all(['1', '2'].map(builder('private', `${meet('/both')} && test $(ls /c | wc -l) = 1`)))).toEqual([0, 0])
  })
})

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => { child.on('close', resolve) })
}

describe('RUN --mount=type=tmpfs', () => {
  it('has the size that is asked for and leaves nothing', () => {
    succeed(['RUN --mount=type=tmpfs,target=/etc/t,size=1m df -k /etc/t | tail -1 | awk \'{ print $2 }\' >/seen && touch /etc/t/x'])
    expect(inLatest('cat /seen; ls -d /etc/t 2>/dev/null || true')).toBe('1024')
  })
})

describe('RUN --mount=type=secret', () => {
  const secret = (): string => `id=token,src=${join(command.folder, `build-${builds + 1}`, 'secret-file')}`

  it('gives the file or the variable, read-only, and nothing of it stays', () => {
    const options = ['--secret', secret()]
    succeed(['RUN --mount=type=secret,id=token test "$(wc -c </run/secrets/token)" = 11 && stat -c "%a %u" /run/secrets/token >/seen && ! echo x >/run/secrets/token', 'RUN --mount=type=secret,id=token,env=TOKEN test "${#TOKEN}" = 11 && test ! -e /run/secrets', 'RUN test -z "$TOKEN"'], ...options)
    expect(inLatest('cat /seen; ls -d /run/secrets 2>/dev/null || true')).toBe('400 0')
    expect(must('inspect', `mounts:${builds}`)).not.toContain('TOKEN')
  })

  it('has the target, owner and mode that are asked for', () => {
    succeed(['RUN --mount=type=secret,id=token,target=/etc/t,uid=3,gid=4,mode=0440 stat -c "%a %u %g" /etc/t >/seen'], '--secret', secret())
    expect(inLatest('cat /seen')).toBe('440 3 4')
  })

  it('takes no part in looking a step up', () => {
    const lines = ['RUN --mount=type=secret,id=token cat /run/secrets/token >/dev/null']
    succeed(lines, '--secret', secret())
    expect(succeed(lines)).toMatch(/CACHED(?![^]*DONE)/u)
  })

  it('is left out when it is missing, unless it is required', () => {
    succeed(['RUN --mount=type=secret,id=missing test ! -e /run/secrets/missing'])
    const said = fail(['RUN --mount=type=secret,id=missing,required true'])
    expect(said).toContain('--secret id=missing,src=FILE')
  })

  it('comes from the environment', () => {
    succeed([`RUN --mount=type=secret,id=e test "$(wc -c </run/secrets/e)" = ${command.root.length}`], '--secret', 'id=e,env=TSBUILD_ROOT')
    expect(run('build', '--secret', 'id=e,env=NO_SUCH_VARIABLE', command.folder).stderr).toContain('has no "NO_SUCH_VARIABLE"')
  })
})

describe('RUN --mount=type=ssh', () => {
  it('is a socket with the owner and mode that are asked for', async () => {
    const path = join(command.folder, 'agent.sock')
    const agent = createServer((client) => client.end('of the agent'))
    await new Promise<void>((resolve) => { agent.listen(path, resolve) })
    try {
      const folder = context('ssh', { Dockerfile: 'FROM busybox\nRUN --mount=type=ssh,uid=9,mode=0606 test "$SSH_AUTH_SOCK" = /run/buildkit/ssh_agent.0 && stat -c "%u %a %F" $SSH_AUTH_SOCK >/seen\nRUN test ! -e /run/buildkit && cat /seen\n' })
      const child = command.start('build', '--progress', 'plain', '--ssh', `default=${path}`, folder)
      let said = ''
      child.stderr?.on('data', (bytes: Buffer) => { said += bytes.toString() })
      expect(await ended(child), said).toBe(0)
      expect(said).toContain('9 606 socket')
    } finally {
      agent.close()
    }
  })

  it('is left out without an agent, unless it is required', () => {
    succeed(['RUN --mount=type=ssh test -z "$SSH_AUTH_SOCK"'])
    expect(fail(['RUN --mount=type=ssh,required true'])).toContain('--ssh default')
  })
})

describe('RUN --network and --security', () => {
  it('have what they say, and no more without leave', () => {
    succeed(['RUN --network=none test "$(ls /sys/class/net)" = lo && ping -c1 -W1 127.0.0.1 >/dev/null && grep -q localhost /etc/hosts'])
    expect(fail(['RUN --network=host true'], '--network', 'none')).toContain('--allow network.host')
    succeed(['RUN --network=host true'], '--network', 'none', '--allow', 'network.host')
    expect(fail(['RUN --security=insecure true'])).toContain('--allow security.insecure')
    succeed(['RUN --security=insecure test "$(awk \'/CapEff/ { print $2 }\' /proc/self/status)" = "$(awk \'/CapBnd/ { print $2 }\' /proc/self/status)" && awk \'/CapEff/ { print $2 }\' /proc/self/status | grep -q "^000001"'], '--allow', 'security.insecure')
    expect(fail(['RUN --security=insecur true'])).toContain('insecure')
    succeed(['RUN sleep 0.1', 'RUN --security=insecure ip addr add 192.0.2.1/32 dev eth0 && sleep 0.1', 'RUN ! ip addr | grep 192.0.2.1'], '--allow', 'security.insecure')
  })
})

describe('a step with a policy of its own', () => {
  it('is stopped, tried again or never looked up as it says', () => {
    expect(fail(['# tsbuild: timeout=300ms', 'RUN sleep 20'])).toContain('timeout')
    expect(fail(['# tsbuild: memory=16m', 'RUN head -c 64m /dev/zero | tail >/dev/null'])).toContain('memory')
    const flaky = 'RUN --mount=type=cache,id=flaky,target=/c echo x >>/c/tries; test "$(wc -l </c/tries)" = 3'
    expect(fail(['# tsbuild: retry=0', flaky])).toContain('exit code 1')
    expect(succeed(['# tsbuild: retry=2', flaky])).toContain('attempt 1 of 3 failed')
    const fresh = ['# tsbuild: cache=off', 'RUN true']
    succeed(fresh)
    expect(succeed(fresh)).toMatch(/RUN true\n#\d+ DONE/u)
  })
})

describe('a build with mounts', () => {
  it('leaves nothing on the host', async () => {
    await expectNothingLeft(command.root)
  })
})
