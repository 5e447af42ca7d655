import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'

const temporary = mkdtempSync(join(tmpdir(), 'tsbuild-reproducible-'))
const command = useCommand('reproducible', { env: { TMPDIR: temporary } })
beforeAll(() => { importBusybox(command) })
afterAll(() => { rmSync(temporary, { recursive: true, force: true }) })

interface Verified { readonly exitCode: number | null; readonly stderr: string }

const files = Object.fromEntries(['zz', 'b', 'm', 'a', 'k', 'dir/y', 'dir/c', 'dir/x'].map((name) => [`files/${name}`, name]))

function verify(name: string, dockerfile: string, ...args: readonly string[]): Verified {
  const context = command.context(name, { Dockerfile: dockerfile, ...files })
  return command.run('build', '--progress', 'plain', '--network', 'none', '--verify-reproducible', ...args, '-t', `${name}:1`, context)
}

describe('--verify-reproducible', () => {
  it('finds both builds the same, and takes the image from the cache then', () => {
    const { exitCode, stderr } = verify('same', 'FROM busybox\nRUN mkdir /d && echo a >/d/a && cp /d/a /d/b\nCOPY Dockerfile /\n', '--no-cache', '--source-date-epoch', '1000000000')
    expect(exitCode, stderr).toBe(0)
    expect(stderr).toContain('both builds made the same image')
    expect(stderr.split('\n').filter((line) => /^#\d+ DONE/u.test(line)), stderr).toHaveLength(4)
    expect(command.must('images')).toContain('same')
  })

  it('takes neither the order of directories nor the umask of whoever builds into an image', () => {
    const lines = ['FROM busybox', 'COPY files /copied/', 'COPY --chmod=u+x files/* /flat/', 'COPY <<inline /made/inline', 'text', 'inline', 'WORKDIR /srv/deep', 'RUN umask >mask && mkdir dir && echo x >dir/file', 'RUN --mount=type=bind,source=files,target=/m sort /m/zz /m/a >/sorted', 'USER 7:7', 'WORKDIR /srv/own']
    const { exitCode, stderr } = verify('surroundings', `${lines.join('\n')}\n`, '--source-date-epoch', '1000000000')
    expect(exitCode, stderr).toBe(0)
    expect(command.must('run', '--network', 'none', 'surroundings:1', 'sh', '-c', 'cat /srv/deep/mask; stat -c %a /srv/deep/dir/file /srv/own /made')).toBe('0022\n644\n755\n755')
  })

  it('makes the same image whatever the umask of whoever builds, new mount points and linked copies included', () => {
    const mounts = '--mount=type=cache,target=/m/cache --mount=type=tmpfs,target=/m/tmp/fs --mount=type=bind,source=files,target=/m/bind/ed'
    const lines = ['FROM busybox', 'WORKDIR /srv/made/deep', 'COPY --link files /linked/to/', `RUN ${mounts} umask >mask && ls -l / /m /m/tmp /m/bind | grep -o "^d[rwxt-]*" >modes && echo 1 >/m/kept`, 'FROM scratch', 'COPY --from=0 / /all/']
    const path = command.context('umasks', { Dockerfile: `${lines.join('\n')}\n`, ...files })
    const ids = [0o022, 0o000, 0o027, 0o077].map((umask) => {
      const usual = process.umask(umask)
      try {
        return command.must('build', '-q', '--no-cache', '--network', 'none', '--source-date-epoch', '1000000000', path)
      } finally {
        process.umask(usual)
      }
    })
    expect(new Set(ids).size, ids.join(' ')).toBe(1)
  })

  it('keeps what the first of the builds said, and nothing of its store', () => {
    const { stderr } = verify('broken', 'FROM busybox\nRUN echo said first; exit 3\n')
    const [, build = ''] = /tsbuild history logs (\w+) shows/u.exec(stderr) ?? []
    expect(command.must('history', 'logs', build)).toContain('said first')
    expect(readdirSync(temporary)).toEqual([])
  })

  it('finds the order of what a step made in that a later one writes down', () => {
    const { exitCode, stderr } = verify('steps', 'FROM busybox\nRUN mkdir /d && cd /d && touch zz b m a k q w e r t\nRUN find /d >/order\n', '--source-date-epoch', '1000000000')
    expect(exitCode, stderr).toBe(1)
    expect(stderr).toContain('/order: content is')
  })

  it('names the layer, the path and the field that differ, and makes no image', () => {
    for (const [name, run, path, args] of [
      ['hostname', 'echo 1 >/same && hostname >/host', '/host: content is', ['--source-date-epoch', '1000000000']],
      ['clock', 'date +%s >/date', '/date: content is', ['--source-date-epoch', '1000000000']],
      ['order', 'find /bin >/order', '/order: content is', ['--source-date-epoch', '1000000000']],
      ['processors', 'nproc >/nproc', '/nproc: content is', ['--source-date-epoch', '1000000000']],
      ['present', 'touch /$(hostname)', 'presence is', ['--source-date-epoch', '1000000000']],
      ['mtime', 'echo 1 >/same', 'mtime is', []],
    ] as const) {
      const { exitCode, stderr } = verify(name, `FROM busybox\nRUN true\nRUN ${run}\n`, ...args)
      expect(exitCode, stderr).toBe(1)
      expect(stderr).toContain(`layer 3 (RUN /bin/sh -c ${run.slice(0, 5)}`)
      expect(stderr).toContain(path)
      if (name === 'mtime') expect(stderr).toContain('--source-date-epoch')
      expect(command.must('images')).not.toContain(name)
    }
  })
})
