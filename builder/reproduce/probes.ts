import { canLimit } from '../../runtime/index.ts'
import { noAttestations } from '../attest/attestation-request.ts'
import type { BuildRequest } from '../build-request.ts'
import { noAnnotations } from '../output/build-output.ts'

/**
 * Two requests for the same image that run every step and leave nothing named. The first changes what must not matter: the
 * host's name, the order in which directories of the context are read, how many steps run at a time and, where it can be, the
 * number of processors. It is for another engine (`openElsewhere`) and another umask; the caller lets time pass between.
 * The second has the usual surroundings, so what the cache remembers in the end is of them.
 */
export function reproducibilityProbes(request: BuildRequest): readonly [BuildRequest, BuildRequest] {
  const usual: BuildRequest = { ...request, noCache: true, names: [], outputs: [], cacheFrom: [], cacheTo: [], attestations: noAttestations, annotations: noAnnotations }
  const limits = request.limits?.cpusetCpus === undefined && request.executor?.kind !== 'chroot' && canLimit('cpuset') ? { ...request.limits, cpusetCpus: '0' } : request.limits
  return [{ ...usual, hostname: 'elsewhere', jobs: 1, readsBackwards: true, ...(limits === undefined ? {} : { limits }) }, usual]
}
