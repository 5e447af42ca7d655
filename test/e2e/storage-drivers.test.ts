import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'
import { createPlainUser, writeBusyboxTar } from '../support/plain-user.ts'

const overlay = useCommand('driver-overlay', { env: { TSBUILD_STORAGE_DRIVER: 'overlay' } })
const vfs = useCommand('driver-vfs', { env: { TSBUILD_STORAGE_DRIVER: 'vfs' } })
const fuse = useCommand('driver-fuse', { env: { TSBUILD_STORAGE_DRIVER: 'fuse-overlayfs' } })
const unknown = useCommand('driver-unknown', { env: { TSBUILD_STORAGE_DRIVER: 'btrfs' } })

const files = {
  Dockerfile: [
    'FROM busybox AS tools', 'RUN mkdir /tools && echo tool > /tools/it && ln -s /tools/it /link && touch -d @1000 /tools/it /tools /', 'FROM busybox', 'COPY tree /tree',
    'RUN rm /tree/a && mv /tree/deep /tree/deeper && echo x > /made && touch -hd @1000 /made /tree/deeper /tree /',
    'RUN --mount=from=tools,source=/link,target=/run/given/it cp /run/given/it /copied && touch -d @1000 /copied /',
    'RUN rm -r /tree && mkdir /tree && touch -d @1000 /tree && chmod 4755 /made && true', 'RUN true', 'CMD ["cat", "/made", "/copied"]',
  ].join('\n'),
  'tree/a': 'a', 'tree/deep/b': 'b',
}

const user = createPlainUser({ TSBUILD_STORAGE_DRIVER: 'fuse-overlayfs' })
afterAll(() => { user[Symbol.dispose]() })

describe('snapshots by overlayfs, by fuse-overlayfs and as copies', () => {
  it('make the same image of the same Dockerfile', () => {
    const [archive, context] = [join(overlay.folder, 'busybox.tar'), overlay.context('context', files)]
    importBusybox(overlay)
    overlay.must('save', '-o', archive, 'busybox')
    for (const other of [vfs, fuse]) other.must('load', '-i', archive)
    const layers = [overlay, vfs, fuse].map((command) => {
      command.must('build', '-q', '--build-arg', 'SOURCE_DATE_EPOCH=1000', '-t', 'app', context)
      return (JSON.parse(command.must('inspect', 'app')) as { readonly RootFS: { readonly Layers: readonly string[] } }[])[0]?.RootFS.Layers
    })
    expect(layers[0]).toHaveLength(6)
    expect(layers[1]).toEqual(layers[0])
    expect(layers[2]).toEqual(layers[0])
    for (const command of [vfs, fuse]) {
      expect(command.must('run', '--network', 'none', 'app')).toBe('x\ntool')
      expect(command.must('fsck')).toMatch(/clean/u)
    }
  })

  it('build and run for a plain user with fuse-overlayfs, which nobody in the container sees', () => {
    const context = join(user.write('context/Dockerfile', files.Dockerfile), '..')
    user.write('context/tree/a', 'a')
    user.write('context/tree/deep/b', 'b')
    const must = (...args: readonly string[]): string => {
      const { exitCode, stdout, stderr } = user.runWithFuse(...args)
      expect(exitCode, `tsbuild ${args.join(' ')}: ${stderr}`).toBe(0)
      return stdout.trimEnd()
    }
    must('import', writeBusyboxTar(user), 'busybox')
    must('build', '-q', '-t', 'app', context)
    expect(must('run', '--network', 'none', 'app')).toBe('x\ntool')
    const processes = must('run', '--network', 'none', 'app', 'sh', '-c', 'grep " / / " /proc/self/mountinfo; rm -r /tree; ls /; ps').split('\n')
    expect(processes[0]).toContain('fuse.fuse-overlayfs')
    expect(processes.filter((line) => line === 'tree' || line.includes('fuse-overlayfs -f'))).toEqual([])
    expect(must('fsck')).toMatch(/clean/u)
    expect(user.run('build', '-q', context)).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('cannot use storage driver "fuse-overlayfs": /dev/fuse may not be opened') as string })
  })

  it('are chosen by what is asked for, and say so', () => {
    expect(overlay.must('store')).toMatch(/^snapshots: by overlay, since it is asked for$/mu)
    expect(JSON.parse(vfs.must('store', '--json'))).toMatchObject({ driver: 'vfs', driverReason: 'it is asked for' })
    expect(JSON.parse(fuse.must('store', '--json'))).toMatchObject({ driver: 'fuse-overlayfs', driverReason: 'it is asked for' })
    expect(unknown.run('store')).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('cannot use storage driver "btrfs": there are "overlay", "fuse-overlayfs" and "vfs"') as string })
  })
})
