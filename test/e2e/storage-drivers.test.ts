import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'

const overlay = useCommand('driver-overlay', { env: { TSBUILD_STORAGE_DRIVER: 'overlay' } })
const vfs = useCommand('driver-vfs', { env: { TSBUILD_STORAGE_DRIVER: 'vfs' } })
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

describe('snapshots by overlayfs and as copies', () => {
  it('make the same image of the same Dockerfile', () => {
    const [archive, context] = [join(overlay.folder, 'busybox.tar'), overlay.context('context', files)]
    importBusybox(overlay)
    overlay.must('save', '-o', archive, 'busybox')
    vfs.must('load', '-i', archive)
    const layers = [overlay, vfs].map((command) => {
      command.must('build', '-q', '--build-arg', 'SOURCE_DATE_EPOCH=1000', '-t', 'app', context)
      return (JSON.parse(command.must('inspect', 'app')) as { readonly RootFS: { readonly Layers: readonly string[] } }[])[0]?.RootFS.Layers
    })
    expect(layers[0]).toHaveLength(6)
    expect(layers[1]).toEqual(layers[0])
    expect(vfs.must('run', '--network', 'none', 'app')).toBe('x\ntool')
    expect(vfs.must('fsck')).toMatch(/clean/u)
  })

  it('are chosen by what is asked for, and say so', () => {
    expect(overlay.must('store')).toMatch(/^snapshots: by overlay, since it is asked for$/mu)
    expect(JSON.parse(vfs.must('store', '--json'))).toMatchObject({ driver: 'vfs', driverReason: 'it is asked for' })
    expect(unknown.run('store')).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('cannot use storage driver "btrfs": there are "overlay" and "vfs"') as string })
  })
})
