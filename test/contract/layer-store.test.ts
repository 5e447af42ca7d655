import { describe } from 'vitest'
import { useStores } from '../support/stores.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'
import { testLayerStore } from './layer-store.ts'

const folder = useTemporaryFolder('layer-store')

describe('layers as overlay directories', () => {
  testLayerStore(useStores(folder, 'overlay'), folder)
})

describe('layers as overlay directories, with snapshots as copies', () => {
  testLayerStore(useStores(folder, 'overlay', 'vfs'), folder)
})

describe('layers as overlay directories, with snapshots by fuse-overlayfs', () => {
  testLayerStore(useStores(folder, 'overlay', 'fuse-overlayfs'), folder)
})

describe('layers as tar and EROFS index, with snapshots as copies', () => {
  testLayerStore(useStores(folder, 'erofs', 'vfs'), folder)
})

describe('layers as tar and EROFS index', () => {
  testLayerStore(useStores(folder, 'erofs'), folder)
})
