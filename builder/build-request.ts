import type { Platform } from '../oci/platform.ts'
import { formatPlatform, hostPlatform } from '../oci/platform.ts'
import { formatReference, parseReference } from '../registry-client/index.ts'
import type { AttestationRequest } from './attest/attestation-request.ts'
import { noAttestations } from './attest/attestation-request.ts'
import { checkAttestations } from './attest/check-attestations.ts'
import type { PullMode } from './base-images.ts'
import type { CacheSource, CacheTarget } from './cache/shared/cache-place.ts'
import type { Confinement } from './container/confinement.ts'
import type { ContextFiles, DockerfileText } from './context/memory-context.ts'
import type { ContextRequest } from './context/open-context.ts'
import type { Entitlement } from './errors.ts'
import { canonicalName } from './find-image.ts'
import type { SecretSource } from './mount/mount-parts.ts'
import type { BuildOutput, ImageAnnotations } from './output/build-output.ts'
import { noAnnotations } from './output/build-output.ts'
import type { SquashRange } from './output/restack.ts'
import { checkOutputs } from './output/write-outputs.ts'

export interface BuildRequest extends Omit<ContextRequest, 'context' | 'dockerfile'>, Partial<Confinement> {
  /** A folder, `-` for standard input, an address of http(s), a git repository, or files in memory. */
  readonly context: string | ContextFiles
  /** A path, `-` for standard input, an address, or the text itself; default `Dockerfile` in the context. */
  readonly dockerfile?: string | DockerfileText
  /** By name what --build-context says: a folder, `docker-image://`, `oci-layout://`, a git repository, an address of http(s). */
  readonly contexts?: Readonly<Record<string, string>>
  /** Names for the image. */
  readonly names?: readonly string[]
  readonly target?: string
  readonly buildArgs?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  /** What the image is for; default this machine. Of several an index is made. */
  readonly platforms?: readonly Platform[]
  /** Runs every step, or those of the stages named, whether or not their results are known. */
  readonly noCache?: boolean | readonly string[]
  readonly pull?: PullMode
  /** Caches of others to look results up in, best first. */
  readonly cacheFrom?: readonly CacheSource[]
  /** Where others are to find what this build knows. */
  readonly cacheTo?: readonly CacheTarget[]
  /** What RUN --mount=type=secret gives to steps, by id. */
  readonly secrets?: Readonly<Record<string, SecretSource>>
  /** For RUN --mount=type=ssh, by id: the socket of an agent, or files of keys without passphrase. */
  readonly sshAgents?: Readonly<Record<string, readonly string[]>>
  /** Folders of CDI specifications for RUN --device; default /etc/cdi and /var/run/cdi. */
  readonly cdiFolders?: readonly string[]
  /** What steps may ask for beyond the ordinary. */
  readonly allow?: readonly Entitlement[]
  /** What RUN steps see as the host's name. It is in no cache key. */
  readonly hostname?: string
  /** Steps at the same time; default 8, or the number of processors. */
  readonly jobs?: number
  /** Default: an image of the store. */
  readonly outputs?: readonly BuildOutput[]
  readonly annotations?: ImageAnnotations
  /** What is said of the image in registries and OCI layouts; default nothing. */
  readonly attestations?: AttestationRequest
  /** Has the result say how each image was made, as provenance that goes with it would; of everything, or the least. */
  readonly describes?: 'min' | 'max'
  /** Makes one layer of all that the Dockerfile makes, or of some of them. */
  readonly squash?: SquashRange | 'all'
  /** Seconds since 1970: the time of the image, and of every file in its new layers that would be younger. */
  readonly sourceDateEpoch?: number
}

/** What of a request was read and found possible, with every name as the store has it. */
export interface CheckedRequest {
  readonly names: readonly string[]
  readonly platforms: readonly [Platform, ...Platform[]]
  readonly outputs: readonly BuildOutput[]
}

/**
 * Before anything begins, and so before there is a record of a build.
 * @throws {MalformedReference} @throws {OutputConflict} @throws {UnsuitableRequest}
 */
export function checkRequest(request: BuildRequest): CheckedRequest {
  const names = (request.names ?? []).map(canonicalName)
  const platforms = distinctPlatforms(request)
  const outputs = (request.outputs ?? [{ type: 'image' }]).map((output) => 'names' in output ? { ...output, names: output.names.map('isByDigest' in output && output.isByDigest ? repositoryName : canonicalName) } : output)
  checkOutputs(outputs, { names, platforms })
  checkAttestations(request.attestations ?? noAttestations, { outputs, annotations: request.annotations ?? noAnnotations })
  return { names, platforms, outputs }
}

/** What is pushed by its digest gets no tag. */
function repositoryName(name: string): string {
  return formatReference(parseReference(name, { defaultTag: undefined }))
}

/** Each once, however often and however spelled it is asked for. */
function distinctPlatforms({ platforms = [] }: BuildRequest): readonly [Platform, ...Platform[]] {
  const [first, ...others] = new Map(platforms.map((platform) => [formatPlatform(platform), platform])).values()
  return first === undefined ? [hostPlatform(process.arch)] : [first, ...others]
}
