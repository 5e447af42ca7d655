import { beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'

const command = useCommand('reproducible')
beforeAll(() => { importBusybox(command) })

interface Verified { readonly exitCode: number | null; readonly stderr: string }

function verify(name: string, dockerfile: string, ...args: readonly string[]): Verified {
  const context = command.context(name, { Dockerfile: dockerfile })
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

  it('names the layer, the path and the field that differ, and makes no image', () => {
    for (const [name, run, path, args] of [
      ['hostname', 'echo 1 >/same && hostname >/host', '/host: content is', ['--source-date-epoch', '1000000000']],
      ['clock', 'date +%s >/date', '/date: content is', ['--source-date-epoch', '1000000000']],
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
