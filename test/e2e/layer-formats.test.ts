import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'

const overlay = useCommand('format-overlay', { env: { TSBUILD_LAYER_FORMAT: 'overlay' } })
const erofs = useCommand('format-erofs', { env: { TSBUILD_LAYER_FORMAT: 'erofs' } })
const chosen = useCommand('format-chosen', { env: { TSBUILD_LAYER_FORMAT: '' } })

const files = {
  Dockerfile: 'FROM busybox\nCOPY tree /tree\nRUN rm /tree/a && echo x > /made && touch -d @1000 /made /tree / && chmod 4755 /made\nRUN rm -r /tree && mkdir /tree && touch -d @1000 /tree\nCMD ["cat", "/made"]',
  'tree/a': 'a', 'tree/deep/b': 'b',
}

describe('layers unpacked and as EROFS images', () => {
  it('make the same image of the same Dockerfile', () => {
    const [archive, context] = [join(overlay.folder, 'busybox.tar'), overlay.context('context', files)]
    importBusybox(overlay)
    overlay.must('save', '-o', archive, 'busybox')
    erofs.must('load', '-i', archive)
    const ids = [overlay, erofs].map((command) => command.must('build', '-q', '--build-arg', 'SOURCE_DATE_EPOCH=1000', '-t', 'app', context))
    expect(ids[0]).toMatch(/^sha256:/u)
    expect(ids[1]).toBe(ids[0])
    expect(erofs.must('store')).toMatch(/^new layers: erofs, since it is asked for\nlayers: 0 unpacked, [1-9]/u)
    expect(overlay.must('store')).toMatch(/^new layers: overlay, since it is asked for\nlayers: [1-9]\d* unpacked, 0 as tar/u)
    for (const question of [['ls', 'app'], ['waste', 'app'], ['why', 'app', '/tree/a'], ['diff', 'busybox', 'app']]) {
      expect(erofs.must('layer', ...question, '--json')).toBe(overlay.must('layer', ...question, '--json'))
    }
  })

  it('are converted into each other, and the image runs all the while', () => {
    expect(chosen.must('store', 'convert', '--to', 'overlay')).toMatch(/^0 layers converted/u)
    importBusybox(chosen)
    chosen.must('build', '-t', 'app', chosen.context('context', files))
    const inspected = (): unknown => (JSON.parse(chosen.must('inspect', 'app')) as { readonly RootFS: unknown }[])[0]?.RootFS
    const before = inspected()
    for (const format of ['erofs', 'overlay']) {
      expect(chosen.must('store', 'convert', '--to', format)).toMatch(/^4 layers converted/u)
      expect(chosen.must('store', 'convert', '--to', format)).toMatch(/^0 layers converted, 4 were so already/u)
      expect(chosen.must('run', '--network', 'none', 'app')).toBe('x')
      expect(inspected()).toEqual(before)
      expect(chosen.must('fsck')).toMatch(/clean/u)
    }
    expect(chosen.must('store')).toMatch(/^new layers: overlay, since the store was converted to it\nlayers: 4 unpacked/u)
    // Somebody else's layer becomes an image, the three small ones stay.
    expect(chosen.must('store', 'convert', '--to', 'auto')).toMatch(/^1 layers converted, 3 were so already/u)
    expect(chosen.must('store')).toMatch(/^new layers: auto, since the kernel mounts EROFS images from files\nlayers: 3 unpacked, 1 as tar/u)
    expect(chosen.must('run', '--network', 'none', 'app')).toBe('x')
    expect(chosen.run('store', 'convert')).toMatchObject({ exitCode: 2 })
    expect(chosen.run('store', 'convert', '--to', 'squashfs')).toMatchObject({ exitCode: 2 })
  })

  it('are shown at a directory when they are EROFS images', () => {
    const mountpoint = join(erofs.folder, 'mountpoint')
    mkdirSync(mountpoint)
    erofs.must('mount', 'app', mountpoint)
    try {
      expect(readFileSync(join(mountpoint, 'made'), 'utf8')).toBe('x\n')
    } finally {
      execFileSync('umount', [mountpoint])
    }
    const { exitCode, stderr } = overlay.run('mount', 'app', mountpoint)
    expect(exitCode).toBe(5)
    expect(stderr).toContain('store convert --to erofs')
  })
})
