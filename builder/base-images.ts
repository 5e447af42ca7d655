import { Canceled, TsbuildError } from '../core/errors.ts'
import type { Task } from '../core/task.ts'
import { silent } from '../core/task.ts'
import { formatPlatform, hostPlatform, normalizePlatform, platformDistance } from '../oci/platform.ts'
import type { Platform } from '../oci/platform.ts'
import type { ChainId, Digest, DiffId } from '../oci/digest.ts'
import { chainIds } from '../oci/digest.ts'
import { formatReference } from '../registry-client/index.ts'
import type { LayoutImage } from './archive/oci-layout.ts'
import { findLayoutImage, pullFromLayout } from './archive/oci-layout.ts'
import type { Store } from '../storage/index.ts'
import type { Engine } from './engine.ts'
import { ImageUnavailable, StepFailed } from './errors.ts'
import type { BuildEvent } from './events.ts'
import type { Material } from './attest/provenance.ts'
import type { BaseImage, BaseImages, ImagePlace } from './plan/base-images.ts'
import type { SourceNode } from './plan/plan.ts'
import type { FoundImage } from './transfer/pull.ts'
import { findRemoteImage, pullLayers, recordImage } from './transfer/pull.ts'
import { openImage } from './transfer/portable-image.ts'

/**
 * When a registry is asked: if the store lacks the image; always; never; or always, taking the registry's image only if it
 * is another than the store's, and the store's when the registry cannot be reached.
 */
export type PullMode = 'missing' | 'always' | 'never' | 'newer'

interface Found {
  readonly image: BaseImage
  readonly manifest: Digest
  /** undefined when the store has it whole. */
  readonly remote: FoundImage | undefined
  /** Set for one of a folder. */
  readonly layout?: LayoutImage
}

/** Of a name there may be images of several platforms. */
type BaseSource = Pick<SourceNode, 'image' | 'diffIds'>

/** The images one build starts from: from the store where it has them, else from their registry. */
export class BuildBases implements BaseImages {
  readonly #engine: Engine
  /** Has the images. */
  readonly #home: Engine
  readonly #pull: PullMode
  readonly #task: Task<BuildEvent>
  readonly #found = new Map<string, Promise<Found>>()
  readonly #ensured = new Map<string, Promise<void>>()

  constructor(engine: Engine, options: { readonly pull: PullMode; readonly task: Task<BuildEvent> }) {
    this.#engine = engine
    this.#home = engine.home ?? engine
    this.#pull = options.pull
    this.#task = options.task
  }

  async resolve(name: string, platform: Platform, place: ImagePlace): Promise<BaseImage> {
    const key = `${formatPlatform(platform)} ${name}`
    const started = this.#found.get(key) ?? this.#find(name, platform)
    this.#found.set(key, started)
    try {
      return (await started).image
    } catch (error) {
      // Checks do without an image that cannot be had, and so must what looks at all that were found.
      if (this.#found.get(key) === started) this.#found.delete(key)
      this.#task.signal.throwIfAborted()
      throw new StepFailed({ stage: name, step: 1, steps: 1, source: `FROM ${name}`, place }, error, place.nearestStage?.())
    }
  }

  /** Of all images resolved. */
  async materials(): Promise<Material[]> {
    const all = await Promise.all(this.#found.values())
    return [...new Map(all.map(({ image: { name, config }, manifest }) => [`${name} ${manifest}`, { name, platform: normalizePlatform(config), digest: manifest }])).values()]
  }

  /** Brings the layers of an image resolved before into the store, once. */
  async ensure(source: BaseSource, task: Task<BuildEvent>): Promise<void> {
    const key = JSON.stringify([source.image, source.diffIds])
    const started = this.#ensured.get(key) ?? this.#bring(source, task)
    this.#ensured.set(key, started)
    return started
  }

  async #find(name: string, platform: Platform): Promise<Found> {
    this.#task.emit({ type: 'image-resolving', name, atMs: Date.now() })
    if (name.startsWith('oci-layout://')) {
      const layout = await findLayoutImage(name, platform)
      return { image: { name, config: layout.config, layers: layout.manifest.layers }, manifest: layout.descriptor.digest, remote: undefined, layout }
    }
    const stored = this.#pull === 'always' ? undefined : await this.#findStored(name, platform)
    switch (this.#pull) {
      case 'missing': return stored ?? await this.#findRemote(name, platform)
      case 'always': return this.#findRemote(name, platform)
      case 'never':
        if (stored === undefined) throw new ImageUnavailable(name, 'the store does not have it, and --pull=never forbids to ask a registry')
        return stored
      case 'newer': return stored === undefined ? this.#findRemote(name, platform) : this.#findNewer(stored, { name, platform })
    }
  }

  async #findNewer(stored: Found, { name, platform }: { name: string; platform: Platform }): Promise<Found> {
    try {
      const found = await this.#findRemote(name, platform)
      return found.remote?.remote.manifest.descriptor.digest === stored.manifest ? stored : found
    } catch (error) {
      if (!(error instanceof TsbuildError) || error instanceof Canceled) throw error
      this.#task.emit({ type: 'warning-raised', rule: 'pull-newer', message: `using "${name}" of the store: ${error.message}`, range: undefined })
      return stored
    }
  }

  async #findStored(name: string, platform: Platform): Promise<Found | undefined> {
    const { store } = this.#home
    const { references } = await this.#home.registries()
    const stored = references(name).map((reference) => store.images.find(formatReference(reference))).find((image) => image !== undefined)
    if (stored === undefined) return undefined
    const { config, manifest, stored: found } = await openImage(store, stored, platform)
    if (platformDistance(platform, config) === undefined) return undefined
    return { image: { name: stored.names[0] ?? name, config, layers: manifest.layers }, manifest: found.manifest.digest, remote: undefined }
  }

  async #findRemote(name: string, platform: Platform): Promise<Found> {
    const remote = await findRemoteImage(this.#home, { name, platform }, this.#task)
    this.#task.emit({ type: 'image-resolved', name: remote.name, digest: remote.remote.target.digest, atMs: Date.now() })
    return { image: { name: remote.name, config: remote.config, layers: remote.manifest.layers }, manifest: remote.remote.manifest.descriptor.digest, remote }
  }

  /** What a build pulls is an image of the store afterwards, as with docker build. */
  async #bring({ image: name, diffIds }: BaseSource, task: Task<BuildEvent>): Promise<void> {
    const all = await Promise.all(this.#found.values())
    const found = all.find(({ image }) => image.name === name && image.config.rootfs.diff_ids.join() === diffIds.join())
    if (found === undefined) throw new ImageUnavailable(name, 'it was not resolved by this build')
    if (found.layout !== undefined) return pullFromLayout(this.#engine.store, found.layout, silent(task))
    if (found.remote !== undefined) {
      await pullLayers(this.#home, { found: found.remote }, task)
      await recordImage(this.#home.store, { found: found.remote, names: isNamed(found, all) ? [found.remote.name] : [] }, silent(task))
    }
    if (this.#home !== this.#engine) await copyLayers(found.image.config.rootfs.diff_ids, { from: this.#home.store, to: this.#engine.store }, silent(task))
  }
}

/** Of several platforms' images one has the name afterwards: this machine's, or else the first. */
function isNamed(found: Found, all: readonly Found[]): boolean {
  const same = all.filter(({ image, remote }) => remote !== undefined && image.name === found.image.name)
  return found === (same.find(({ image }) => platformDistance(hostPlatform(process.arch), image.config) !== undefined) ?? same[0])
}

async function copyLayers(diffIds: readonly DiffId[], { from, to }: { readonly from: Store; readonly to: Store }, task: Task): Promise<void> {
  let parent: ChainId | undefined
  for (const [index, chainId] of chainIds(diffIds).entries()) {
    if (to.layers.find(chainId) === undefined) await to.layers.apply(parent, from.layers.changeset(chainId, task), diffIds[index], task)
    parent = chainId
  }
}
