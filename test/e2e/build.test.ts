import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'

const command = useCommand('build')
const { context, must, run } = command
beforeAll(() => { importBusybox(command) })

interface Inspected { readonly Id: string; readonly Config: Readonly<Record<string, unknown>>; readonly RootFS: { readonly Layers: readonly string[] }; readonly GraphDriver: { readonly Data: Readonly<Record<string, string>> } }

function inspect(image: string): Inspected {
  const [inspected] = JSON.parse(must('inspect', image)) as Inspected[]
  if (inspected === undefined) throw new TypeError('nothing was inspected')
  return inspected
}

describe('tsbuild build', () => {
  const app = `FROM busybox AS base
ARG WHO=world
ENV GREETING="hello $WHO" EMPTY=
WORKDIR /app/sub
COPY --chown=65534:65534 a.txt dir/ ./
RUN echo "$GREETING" >out && echo x >/etc/added
FROM scratch AS unused
COPY missing /
FROM base
COPY --from=base /app/sub/out /final/
COPY <<-END /etc/heredoc
\twho is $WHO
\tEND
RUN <<SCRIPT
#!/bin/awk -f
BEGIN { print "awk ran" > "/etc/awk" }
SCRIPT
USER nobody
EXPOSE 80 53/udp
VOLUME /data
LABEL b=2 "a name"="a value"
STOPSIGNAL SIGQUIT
SHELL ["/bin/sh", "-ec"]
ENTRYPOINT ["cat"]
CMD ["/final/out"]
`
  const files = { Dockerfile: app, 'a.txt': 'a\n', 'dir/b.txt': 'b\n', 'dir/skipped.log': '', '.dockerignore': '**/*.log\n' }

  it('makes the image the Dockerfile says, which runs', () => {
    const path = context('app', files)
    must('build', '-t', 'app:1', '--build-arg', 'WHO=you', path)
    expect(run('run', '--network', 'none', 'app:1').stdout).toBe('hello you\n')
    expect(inspect('app:1').Config).toEqual({
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'GREETING=hello you', 'EMPTY='],
      WorkingDir: '/app/sub', User: 'nobody', ExposedPorts: { '80/tcp': {}, '53/udp': {} }, Volumes: { '/data': {} }, Labels: { b: '2', 'a name': 'a value' },
      StopSignal: 'SIGQUIT', Shell: ['/bin/sh', '-ec'], Entrypoint: ['cat'], Cmd: ['/final/out'], ArgsEscaped: true,
    })
    const listing = run('run', '--network', 'none', '--entrypoint', 'sh', 'app:1', '-c', 'ls -ln /app/sub | tail -n +2 | awk \'{ print $1, $3, $4, $NF }\'; cat /etc/heredoc /etc/awk; id -u; pwd').stdout
    expect(listing).toBe('-rw-r--r-- 65534 65534 a.txt\n-rw-r--r-- 65534 65534 b.txt\n-rw-r--r-- 0 0 out\nwho is you\nawk ran\n65534\n/app/sub\n')
  })

  it('gives the same id again from the cache, whatever the times of the files', () => {
    const path = join(command.folder, 'app')
    const first = must('build', '-q', '--build-arg', 'WHO=you', path)
    utimesSync(join(path, 'a.txt'), 1, 1)
    const { stdout, stderr } = run('build', '--progress', 'plain', '--build-arg', 'WHO=you', path)
    expect(stdout).toBe('')
    expect(stderr).toContain(`exported ${first}`)
    expect(stderr).not.toContain('DONE')
    expect(stderr.match(/CACHED/gu)?.length).toBeGreaterThan(5)
  })

  it('runs again what depends on a change, and only that', () => {
    const path = context('change', files)
    must('build', '-t', 'change:1', path)
    writeFileSync(join(path, 'dir/b.txt'), 'changed\n')
    const { stderr } = run('build', '--progress', 'plain', '-t', 'change:2', path)
    expect(stderr).toMatch(/WORKDIR \/app\/sub\n#\d+ CACHED/u)
    expect(stderr).toMatch(/COPY --chown=65534:65534 a.txt dir\/ .\/\n#\d+ DONE/u)
    expect(stderr).toMatch(/RUN echo "\$GREETING".*\n#\d+ DONE/u)
    writeFileSync(join(path, 'dir/other.log'), 'ignored\n')
    expect(run('build', '--progress', 'plain', path).stderr).not.toContain('DONE')
  })

  it('runs everything with --no-cache', () => {
    const { stderr } = run('build', '--no-cache', '--progress', 'plain', join(command.folder, 'app'))
    expect(stderr.match(/CACHED/gu)).toHaveLength(1)
  })

  it('builds a stage by name, and no stage that the target does not need', () => {
    must('build', '-t', 'base:1', '--target', 'base', join(command.folder, 'app'))
    expect(inspect('base:1').Config['Cmd']).toEqual(['sh'])
    expect(run('build', '--target', 'unused', join(command.folder, 'app'))).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('"missing"') as string })
  })

  it('makes layers that do not depend on the store or the folder they were built in', () => {
    const other = useOtherStore()
    const files2 = { Dockerfile: 'FROM busybox\nWORKDIR /new/dir\nCOPY . /src/\nCOPY --chmod=600 tree/x /etc/\n', 'tree/x': 'x', 'tree/deep/y': 'y' }
    const here = context('same', files2)
    for (const path of ['tree/x', 'tree/deep/y', 'tree/deep', 'tree', 'Dockerfile']) utimesSync(join(here, path), 1000, 1000)
    execFileSync('cp', ['-a', here, join(other.folder, 'elsewhere')])
    must('build', '-t', 'same', here)
    other.must('build', '-t', 'same', join(other.folder, 'elsewhere'))
    const [theirs] = JSON.parse(other.must('inspect', 'same')) as Inspected[]
    expect(theirs?.RootFS.Layers).toEqual(inspect('same').RootFS.Layers)
  })

  it('shows where an image lies', () => {
    const { UpperDir = '', LowerDir = '' } = inspect('app:1').GraphDriver.Data
    expect(UpperDir).toContain(command.root)
    expect(LowerDir.split(':').length).toBeGreaterThan(3)
    const bottom = LowerDir.split(':').at(-1) ?? ''
    // A directory, or the index of a tar.
    if (statSync(bottom).isDirectory()) expect(readFileSync(join(bottom, 'etc/passwd'), 'utf8')).toContain('root:x:0:0')
    else expect(existsSync(`${bottom}.tar`)).toBe(true)
  })

  it('applies limits to steps', () => {
    const path = context('limits', { Dockerfile: 'FROM busybox\nRUN cat /sys/fs/cgroup/memory/memory.limit_in_bytes || cat /sys/fs/cgroup/memory.max\n' })
    expect(run('build', '--progress', 'plain', '--memory', '64m', '--cpus', '0.5', '--pids-limit', '50', path).stderr).toContain(String(64 * 1024 * 1024))
  })

  it('takes what scripts say to docker, and says what to do in place of what it has not', () => {
    const path = join(command.folder, 'app')
    must('build', '-q', '--rm', '--force-rm=true', '--isolation', 'default', '--platform', 'local', path)
    for (const [wrong, remedy] of [['--rm=false', '--on-failure=keep'], ['--compress', 'leave it out'], ['--cpu-quota=1', '--cpus'], ['--timestamp=0', '--source-date-epoch']] as const) {
      expect(run('build', wrong, path), wrong).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(remedy) as string })
    }
  })

  it('writes the id to a file and as JSON events', () => {
    const path = join(command.folder, 'app')
    const iidfile = join(command.folder, 'iid')
    const { stdout } = run('build', '--progress', 'json', '--iidfile', iidfile, path)
    const events = stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as { type: string })
    expect(events.map(({ type }) => type)).toContain('build-planned')
    expect(events.at(-1)).toMatchObject({ type: 'build-finished', outcome: 'succeeded', image: { id: readFileSync(iidfile, 'utf8') } })
  })
})

const otherStore = useCommand('build-other')

function useOtherStore(): typeof otherStore {
  importBusybox(otherStore)
  return otherStore
}
