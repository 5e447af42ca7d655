import type { Task } from '../core/task.ts'
import { silent } from '../core/task.ts'
import { parseManifestDocument } from '../oci/manifest.ts'
import type { Platform } from '../oci/platform.ts'
import { formatPlatform } from '../oci/platform.ts'
import { repositoryName } from '../registry-client/index.ts'
import type { TransferEvent } from '../registry-client/index.ts'
import type { Engine } from './engine.ts'
import { askInTurn } from './transfer/ask-in-turn.ts'
import { findRemoteImage } from './transfer/pull.ts'

/** What a registry has under a name: of an index its platforms, and of the platform's image manifest and config. Fetches no layer. */
export async function inspectRemote(engine: Engine, { name, platform }: { readonly name: string; readonly platform: Platform }, task: Task<TransferEvent>): Promise<Readonly<Record<string, unknown>>> {
  const { client } = await engine.registries()
  const { reference, remote, manifest, config } = await findRemoteImage(engine, { name, platform }, task)
  const { target } = remote
  const top = parseManifestDocument((await client.fetchManifest({ ...reference, digest: target.digest }, silent(task))).bytes, target.mediaType)
  const { rootfs, config: runConfig, created, author, architecture, os, variant } = config
  return {
    Name: repositoryName(reference),
    Digest: target.digest,
    MediaType: target.mediaType,
    ...(top.kind === 'index' ? { Platforms: top.index.manifests.map(({ digest, platform: each }) => ({ Platform: each === undefined ? null : formatPlatform(each), Digest: digest })) } : {}),
    Manifest: manifest,
    ManifestDigest: remote.manifest.descriptor.digest,
    Id: manifest.config.digest,
    Created: created,
    Author: author ?? '',
    Architecture: architecture,
    ...(variant === undefined ? {} : { Variant: variant }),
    Os: os,
    Size: manifest.layers.reduce((sum, { size }) => sum + size, manifest.config.size),
    Config: runConfig ?? {},
    RootFS: { Type: 'layers', Layers: rootfs.diff_ids },
    ...rateLimit(client.catalog.rateLimits().find(({ host }) => host === reference.registry)),
  }
}

function rateLimit(limit: { readonly limit: number; readonly remaining: number; readonly windowSeconds: number | undefined } | undefined): object {
  return limit === undefined ? {} : { RateLimit: { Limit: limit.limit, Remaining: limit.remaining, WindowSeconds: limit.windowSeconds } }
}

/** The bytes a registry has under a name, of which its digest is. */
export async function fetchRawManifest(engine: Engine, name: string, task: Task): Promise<Uint8Array> {
  return askInTurn(await engine.registries(), name, async (client, reference) => (await client.fetchManifest(reference, task)).bytes)
}
