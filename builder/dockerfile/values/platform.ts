import { MalformedDocument } from '../../../oci/errors.ts'
import type { Platform } from '../../../oci/platform.ts'
import { parsePlatform } from '../../../oci/platform.ts'
import type { Place } from '../errors.ts'
import { DockerfileError, quote } from '../errors.ts'
import type { References } from '../expand/expand.ts'
import { findNearest } from '../../../core/nearest.ts'

/**
 * Reads `FROM --platform` after expansion. Parts it leaves out are those of `base`, the machine that builds.
 * `known` are the variables there are: the nearest is suggested when an unset one left the value empty.
 * @throws {DockerfileError}
 */
export function parsePlatformFlag(
  expansion: References & { readonly text: string },
  { base, known }: { readonly base: Platform; readonly known: Iterable<string> },
  place: Place,
): Platform {
  const [unset] = expansion.unset
  const suggestion = unset === undefined ? undefined : findNearest(unset, known)
  if (expansion.text === '') {
    throw new DockerfileError(place, { rule: 'platform', problem: '--platform is empty', remedy: unset === undefined ? undefined : `${unset} has no value`, suggestion })
  }
  try {
    return parsePlatform(expansion.text, base)
  } catch (error) {
    if (!(error instanceof MalformedDocument)) throw error
    throw new DockerfileError(place, { rule: 'platform', problem: `--platform is ${quote(expansion.text)}, want os/architecture[/variant]`, remedy: 'write it as linux/amd64', suggestion }, { cause: error })
  }
}
