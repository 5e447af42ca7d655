import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { IndexedLayer } from '../support/indexed-layer.ts'
import { everyKind, largeDirectory, writeIndexedLayer } from '../support/indexed-layer.ts'
import { usePeerTools } from '../support/peer-tools.ts'
import { archive, directory, file, forgePax, hardLink } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const folder = useTemporaryFolder('erofs-utils')
const peers = usePeerTools('fsck.erofs', 'dump.erofs')
const [image, tar] = [join(peers.folder, 'image'), join(peers.folder, 'tar')]

function run(tool: string, layer: IndexedLayer, ...args: string[]): string {
  copyFileSync(layer.path, image)
  copyFileSync(layer.tar, tar)
  return peers.run(tool, `--device=${peers.inside(tar)}`, ...args, peers.inside(image))
}

describe('erofs-utils', () => {
  it('find nothing wrong with an index of every kind of inode', async () => {
    run('fsck.erofs', await writeIndexedLayer(join(folder, 'every'), everyKind, []))
  })
  it('find nothing wrong with a directory of 100,000 entries', async () => {
    run('fsck.erofs', await writeIndexedLayer(join(folder, 'large'), largeDirectory(100_000), []))
  })
  it('find nothing wrong with a file that was copied from a layer below', async () => {
    const below = await writeIndexedLayer(join(folder, 'below'), archive(directory('etc/'), file('etc/low', 'low'.repeat(1000))), [])
    run('fsck.erofs', await writeIndexedLayer(join(folder, 'above'), archive(hardLink('high', 'etc/low')), [below]))
  })
  it('read the times that the tar has', async () => {
    const layer = await writeIndexedLayer(join(folder, 'time'), archive(forgePax({ mtime: '1.123456789' }), file('time', 'x')), [])
    expect(run('dump.erofs', layer, '--path=/time')).toContain('.123456789')
  })
})
