import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { digestAlgorithm, digestAsDiffId, digestHex } from '../../oci/digest.ts'
import { encodeImageConfig } from '../../oci/image-config.ts'
import type { Manifest } from '../../oci/manifest.ts'
import { encodeDocument } from '../../oci/manifest.ts'
import { formatReference, ManifestUnknown, parseReference } from '../../registry-client/index.ts'
import type { Engine } from '../engine.ts'
import type { BuildEvent } from '../events.ts'
import type { PortableTree } from '../transfer/portable-tree.ts'
import { uploadPortable } from '../transfer/push.ts'
import type { AttestationSigner } from './attestation-key.ts'
import { encodeEnvelope, envelopeType } from './envelope.ts'
import type { Predicate } from './statement.ts'
import { encodeStatement } from './statement.ts'

interface Pushed {
  /** Under which it was pushed. */
  readonly name: string
  /** What the names stand for in statements. */
  readonly names: readonly string[]
  readonly tree: Pick<PortableTree, 'said' | 'top'>
  readonly signer: AttestationSigner
}

/**
 * Pushes what is said of the images, signed, under the tags where cosign looks: of each image one, and of the index, which is
 * what a name leads to, one with all. What others signed there stays.
 * @see cosign "Attestation specification"
 */
export async function pushEnvelopes(engine: Engine, { name, names, tree, signer }: Pushed, task: Task<BuildEvent>): Promise<void> {
  const all: Descriptor[] = []
  for (const { image, predicates } of tree.said) {
    const envelopes: Descriptor[] = []
    for (const predicate of predicates) envelopes.push(await writeEnvelope(engine, { predicate, names, digests: [image.digest, tree.top.digest] }, signer))
    await pushManifest(engine, { name, subject: image.digest, envelopes }, task)
    all.push(...envelopes)
  }
  await pushManifest(engine, { name, subject: tree.top.digest, envelopes: all }, task)
}

async function writeEnvelope({ store }: Engine, said: { readonly predicate: Predicate; readonly names: readonly string[]; readonly digests: readonly Digest[] }, signer: AttestationSigner): Promise<Descriptor> {
  const bytes = encodeEnvelope(encodeStatement(said.predicate, { names: said.names, digests: said.digests }), signer)
  // Verifiers take the signature from the envelope; cosign wants its annotation there and empty.
  return { ...await store.content.write(bytes, envelopeType), annotations: { 'dev.cosignproject.cosign/signature': '', predicateType: said.predicate.type } }
}

async function pushManifest(engine: Engine, { name, subject, envelopes }: { readonly name: string; readonly subject: Digest; readonly envelopes: readonly Descriptor[] }, task: Task<BuildEvent>): Promise<void> {
  const { store } = engine
  const reference = { ...parseReference(name), tag: `${digestAlgorithm(subject)}-${digestHex(subject)}.att`, digest: undefined }
  const there = await readLayers(engine, reference, task)
  const own = new Set(envelopes.map(({ digest }) => digest))
  const layers = [...there.filter(({ digest }) => !own.has(digest)), ...envelopes]
  const config = await store.content.write(encodeImageConfig({ architecture: '', os: '', config: {}, rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digestAsDiffId(digest)) }, history: [] }), mediaTypes.ociConfig)
  const manifest: Manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers }
  const portable = { manifest, bytes: encodeDocument(manifest), mediaType: mediaTypes.ociManifest }
  await uploadPortable(engine, { name: formatReference(reference), portable }, task)
}

async function readLayers(engine: Engine, reference: ReturnType<typeof parseReference>, task: Task<BuildEvent>): Promise<readonly Descriptor[]> {
  const { client } = await engine.registries()
  try {
    const { document } = await client.fetchManifest(reference, silent(task))
    return document.kind === 'manifest' ? document.manifest.layers : []
  } catch (error) {
    if (error instanceof ManifestUnknown) return []
    throw error
  }
}
