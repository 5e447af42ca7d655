import type { Digest } from '../oci/digest.ts'

/** A parsed image name. `registry` is a host with optional port; Docker Hub is `docker.io`. @see distribution reference grammar */
export interface Reference {
  readonly registry: string
  readonly repository: string
  readonly tag: string | undefined
  readonly digest: Digest | undefined
}
