import type { AttestationSigner } from './attestation-key.ts'

/** What is to be said of an image where it goes with an index: to a registry, or into an OCI layout. */
export interface AttestationRequest {
  /** The packages in it. */
  readonly sbom: boolean
  /** How it was made; `max` with build arguments, names of secrets, the Dockerfile and every step. */
  readonly provenance: ProvenanceRequest | undefined
  /** Signs what goes to registries. */
  readonly signer?: AttestationSigner | undefined
}

export interface ProvenanceRequest {
  readonly mode: 'min' | 'max'
  /** A URI that says who runs these builds. */
  readonly builderId: string
}

export const defaultBuilderId = 'urn:tsbuild:builder:unnamed'

export const noAttestations: AttestationRequest = { sbom: false, provenance: undefined }

export function isAsked({ sbom, provenance }: AttestationRequest): boolean {
  return sbom || provenance !== undefined
}
