/** A process that fetches a layer and stops half way: `half-fetch.ts ROOT SEED`. It says so, and waits to be killed. */
import { gzipSync } from 'node:zlib'
import { mediaTypes } from '../../oci/descriptor.ts'
import { digestAsDiffId, sha256 } from '../../oci/digest.ts'
import { openStore } from '../../storage/index.ts'
import { stream, task } from './streams.ts'
import { noiseTar } from './noise-tar.ts'

const [, , root = '', seed = ''] = process.argv
const tar = noiseTar(seed)
const bytes = gzipSync(tar)
const store = await openStore(root)
await store.ingestLayer({
  parent: undefined,
  blob: { mediaType: mediaTypes.ociLayerGzip, digest: sha256(bytes), size: bytes.length },
  bytes: async function* open(fromByte) {
    yield* stream(bytes.subarray(fromByte, bytes.length / 2))
    process.stdout.write('half\n')
    await new Promise((resolve) => setTimeout(resolve, 600_000))
  },
  diffId: digestAsDiffId(sha256(tar)),
}, task)
