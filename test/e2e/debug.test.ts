import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'

const command = useCommand('debug')
const elsewhere = useCommand('debug-elsewhere')
const { context, must, run } = command
const secret = 'a-value-that-is-secret'
const dockerfile = `FROM busybox AS tools
RUN echo from-stage > /tool
FROM busybox
RUN echo 'worker:x:1234:1234::/work:/bin/sh' >> /etc/passwd; mkdir -p /tmp; chmod 777 /tmp
ENV KEY="a value"
ARG WHO
WORKDIR /work
USER worker
RUN --mount=type=secret,id=t,env=TOKEN --mount=type=bind,from=tools,target=/tools --mount=type=bind,source=input,target=/input --mount=type=cache,target=/cache,uid=1234 \\
 grep -E "Cap|NoNew|Seccomp:" /proc/self/status; echo partial > /tmp/partial; echo cached > /cache/x; cat /tools/tool /input; echo failing; exit 9
`
const look = 'id -u; pwd; echo "$KEY $WHO"; cat /tmp/partial /tools/tool /input /cache/x; cat /sys/fs/cgroup/memory/memory.limit_in_bytes; grep -E "Cap|NoNew|Seccomp:" /proc/self/status'
const looked = '1234\n/work\na value you\npartial\nfrom-stage\nfrom-context\ncached\n134217728\n'
let path = ''
let flags: readonly string[] = []

beforeAll(() => {
  importBusybox(command)
  path = context('failing', { Dockerfile: dockerfile, input: 'from-context\n' })
  writeFileSync(join(command.folder, 'token'), secret)
  flags = ['--progress', 'plain', '--memory', '128m', '--build-arg', 'WHO=you', '--secret', `id=t,src=${join(command.folder, 'token')}`]
})

/** Whatever a step may do, as the kernel has it. */
function confinement(text: string): string[] {
  return text.split('\n').map((line) => line.replace(/^#\d+ \S+ /u, '')).filter((line) => /^(?:Cap|NoNew|Seccomp)/u.test(line))
}

describe('a step kept where it failed', () => {
  let confined: string[] = []

  it('is kept by --on-failure=keep, and the build fails as it would', () => {
    const { exitCode, stderr } = run('build', '--on-failure', 'keep', ...flags, path)
    expect(exitCode).toBe(9)
    const [, id] = /kept where it failed: tsbuild debug ([0-9a-f]{12})/u.exec(stderr) ?? []
    expect(id).toBeDefined()
    confined = confinement(stderr)
    expect(confined.length).toBeGreaterThan(5)
  })

  it('has the same root filesystem, user, folder, environment, mounts, limits and confinement', () => {
    const { stdout, exitCode } = run('debug', 'latest', 'sh', '-c', look)
    expect(exitCode).toBe(0)
    expect(stdout.slice(0, looked.length)).toBe(looked)
    expect(confinement(stdout)).toEqual(confined)
  })

  it('has a secret only when it is given again', () => {
    expect(run('debug', 'latest', 'sh', '-c', 'echo "${TOKEN-none}"').stdout).toBe('none\n')
    expect(run('debug', '--secret', `id=t,src=${join(command.folder, 'token')}`, 'latest', 'sh', '-c', 'echo "${TOKEN-none}"').stdout).toBe(`${secret}\n`)
    const records = join(command.root, 'builds')
    for (const name of readdirSync(records, { recursive: true, encoding: 'utf8' }).filter((file) => file.includes('.json'))) expect(readFileSync(join(records, name), 'utf8')).not.toContain(secret)
  })

  it('forgets what is changed there, and gives the exit code of what was run', () => {
    expect(run('debug', 'latest', 'sh', '-c', 'rm /tmp/partial; exit 5').exitCode).toBe(5)
    expect(run('debug', 'latest', 'cat', '/tmp/partial').stdout).toBe('partial\n')
  })

  it('is run again from where it began by --replay', () => {
    const { exitCode, stdout } = run('debug', '--replay', 'latest')
    expect({ exitCode, end: stdout.trimEnd().split('\n').slice(-3) }).toEqual({ exitCode: 9, end: ['from-stage', 'from-context', 'failing'] })
  })

  it('stays through gc, and goes with its images', () => {
    must('gc')
    expect(run('debug', 'latest', 'true').exitCode).toBe(0)
    for (const line of must('images').split('\n').filter((text) => text.startsWith('tsbuild-debug'))) must('rmi', `tsbuild-debug:${line.split(/\s+/u)[1] ?? ''}`)
  })

  it('is not there when nothing was kept', () => {
    expect(run('build', ...flags, path).exitCode).toBe(9)
    expect(run('debug', 'latest')).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('--on-failure=keep') as string })
  })

  it('is not kept when it holds a secret', () => {
    const leaky = context('leaky', { Dockerfile: 'FROM busybox\nRUN --mount=type=secret,id=t cp /run/secrets/t /copy; exit 4\n' })
    const { exitCode, stderr } = run('build', '--on-failure', 'keep', ...flags.filter((flag) => !flag.includes('WHO')).filter((flag) => flag !== '--build-arg'), leaky)
    expect(exitCode).toBe(4)
    expect(stderr).toContain('nothing was kept of the failed step: cannot keep the value of a secret: "t" is in file "/copy"')
  })
})

describe('a bundle', () => {
  it('lets somebody else stand there with nothing but it', () => {
    const { exitCode, stderr } = run('build', '--on-failure', 'bundle', ...flags, path)
    expect(exitCode).toBe(9)
    const [, folder = ''] = /wrote (\S+-bundle)/u.exec(stderr) ?? []
    expect(readFileSync(join(folder, 'log.txt'), 'utf8')).toContain('failing\n')
    expect(readFileSync(join(folder, 'failure.json'), 'utf8')).not.toContain(secret)
    const { stdout } = elsewhere.run('debug', folder, 'sh', '-c', 'id -u; pwd; echo "$KEY $WHO"; cat /tmp/partial /tools/tool /input; ls /cache | wc -l')
    expect(stdout).toBe('1234\n/work\na value you\npartial\nfrom-stage\nfrom-context\n0\n')
    expect(elsewhere.run('debug', '--replay', folder).exitCode).toBe(9)
  })
})

describe('--on-failure=shell', () => {
  it('opens a shell there on the terminal, and the build fails when it is left', async () => {
    const line = `exec ${process.execPath} ${join(import.meta.dirname, '../../bin/tsbuild.cjs')} build --on-failure shell ${flags.slice(2).join(' ')} ${path}`
    const child = spawn('script', ['-qec', `stty cols 100 rows 30; ${line}`, '/dev/null'], { env: { ...process.env, TSBUILD_ROOT: command.root, NODE_EXTRA_CA_CERTS: '' }, stdio: ['pipe', 'pipe', 'inherit'] })
    let screen = ''
    child.stdout.on('data', (chunk: Buffer) => {
      const isOpen = screen.includes('leave it to end')
      screen += chunk.toString()
      if (!isOpen && screen.includes('leave it to end')) child.stdin.write('id -u; cat /tmp/partial; echo "$TOKEN" | wc -c; grep CapEff /proc/self/status; [ -t 0 ] && echo on-a-terminal; ip route | grep -q default && echo connected; exit\n')
    })
    const [exitCode] = await once(child, 'close') as [number]
    expect(exitCode).toBe(9)
    const lines = stripVTControlCharacters(screen).split(/[\r\n]+/u)
    expect(lines).toEqual(expect.arrayContaining(['1234', 'partial', String(secret.length + 1), 'CapEff:\t0000000000000000', 'on-a-terminal', 'connected']))
    expect(lines.some((line) => line.includes('✖ 4/4 RUN'))).toBe(true)
  })

  it('is refused where there is no terminal', () => {
    expect(run('build', '--on-failure', 'shell', path)).toMatchObject({ exitCode: 2 })
  })
})
