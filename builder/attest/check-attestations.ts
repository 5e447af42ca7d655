import { UnsuitableRequest } from '../errors.ts'
import type { BuildOutput, ImageAnnotations } from '../output/build-output.ts'
import type { AttestationRequest } from './attestation-request.ts'
import { isAsked } from './attestation-request.ts'

/** Before anything is built: whether what is asked to be said has a place. @throws {UnsuitableRequest} */
export function checkAttestations(request: AttestationRequest, { outputs, annotations }: { readonly outputs: readonly BuildOutput[]; readonly annotations: ImageAnnotations }): void {
  if (request.signer !== undefined && !isAsked(request)) throw new UnsuitableRequest('a key for attestations signs an SBOM or provenance: give --sbom or --provenance')
  if (request.signer !== undefined && !outputs.some(({ type }) => type === 'registry')) throw new UnsuitableRequest('signed attestations lie in a registry: give --push or -o type=registry')
  const said = isAsked(request) ? 'an SBOM or provenance' : Object.keys(annotations.index).length > 0 ? 'annotations of an index' : undefined
  if (said === undefined) return
  const carriers = outputs.filter((output) => output.type === 'registry' || output.type === 'oci')
  if (carriers.length === 0) throw new UnsuitableRequest(`${said} need an index to lie in: give --push or -o type=registry or type=oci`)
  if (carriers.some(({ blobs }) => blobs.mediaTypes === 'docker')) throw new UnsuitableRequest(`Docker media types have no place for ${said}; leave out oci-mediatypes=false`)
}
