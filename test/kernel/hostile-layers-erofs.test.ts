import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { openStore } from '../../storage/index.ts'
import { applied } from '../support/stored-images.ts'
import { file } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'
import './hostile-corpus.test.ts'
import './hostile-layers.test.ts'

/** The same archives mean the same, or are refused for the same reason, where layers are kept as indexes of their tars. */
vi.stubEnv('TSBUILD_LAYER_FORMAT', 'erofs')
const folder = useTemporaryFolder('hostile-format')

it('these layers are indexes', async () => {
  await using store = await openStore(join(folder, 'store'))
  expect(store.layers.lowers((await applied(store, file('a'))).chainId)).toMatchObject([{ kind: 'erofs' }])
})
