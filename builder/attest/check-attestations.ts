import { UnsuitableRequest } from '../errors.ts'
import type { BuildOutput, ImageAnnotations } from '../output/build-output.ts'
import type { AttestationRequest } from './attestation-request.ts'
import { isAsked } from './attestation-request.ts'

/** Before anything is built: whether what is asked to be said has a place. @throws {UnsuitableRequest} */
export function checkAttestations(request: AttestationRequest, { outputs, annotations, hasIndex }: { readonly outputs: readonly BuildOutput[]; readonly annotations: ImageAnnotations; readonly hasIndex: boolean }): void {
  if (!isAsked(request)) {
    if (Object.keys(annotations.index).length > 0 && !hasIndex) throw new UnsuitableRequest('annotations of an index need one, and this build makes none: only --sbom, --provenance and several platforms do')
    return
  }
  const carriers = outputs.filter((output) => output.type === 'registry' || output.type === 'oci')
  if (carriers.length === 0) throw new UnsuitableRequest('an SBOM or provenance needs an index to lie in: give --push or -o type=registry or type=oci')
  if (carriers.some(({ blobs }) => blobs.mediaTypes === 'docker')) throw new UnsuitableRequest('Docker media types have no place for an SBOM or provenance; leave out oci-mediatypes=false')
}
