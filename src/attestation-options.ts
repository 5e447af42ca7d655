import type { AttestationRequest, ProvenanceRequest } from '../builder/index.ts'
import { defaultBuilderId, openAttestationKey } from '../builder/index.ts'
import { Attributes } from './attribute-list.ts'
import type { OptionSpec, OptionValues } from './command.ts'
import { UsageError } from './errors.ts'

export const attestationOptions: readonly OptionSpec[] = [
  { name: 'sbom', value: 'true|false', bare: 'true', help: 'Attach the list of packages in the image (SPDX) to what is pushed or written as OCI layout' },
  { name: 'provenance', value: 'mode=min|max', bare: 'true', help: 'Attach how the image was made (SLSA v1); mode=max with build arguments, Dockerfile and steps; also builder-id=URI' },
  { name: 'attest', value: 'type=sbom|provenance[,...]', isRepeatable: true, help: 'The same as --sbom and --provenance, in one option' },
  { name: 'attestation-key', value: 'FILE', help: 'Also push the SBOM and provenance signed with this private key (PEM), where cosign looks for them' },
]

/** @throws {UsageError} */
export function parseAttestations(options: OptionValues): AttestationRequest {
  const [sbom, provenance] = [options.text('sbom'), options.text('provenance')]
  const specs = [
    ...sbom === undefined ? [] : [readSpec(spell('sbom', sbom), 'sbom')],
    ...provenance === undefined ? [] : [readSpec(spell('provenance', provenance), 'provenance')],
    ...options.texts('attest').map((text) => readSpec(text, 'attest')),
  ]
  for (const type of ['sbom', 'provenance']) if (specs.filter((spec) => spec.type === type).length > 1) throw new UsageError(`options ask for ${type} twice`)
  const key = options.text('attestation-key')
  return {
    ...(key === undefined ? {} : { signer: openAttestationKey(key) }),
    sbom: specs.some(({ type, isDisabled }) => type === 'sbom' && !isDisabled),
    provenance: specs.find(({ type, isDisabled }) => type === 'provenance' && !isDisabled)?.provenance,
  }
}

/** A word alone, as buildx has it, switches on or off. */
function spell(type: string, text: string): string {
  if (text === 'true') return `type=${type}`
  return text === 'false' ? `type=${type},disabled=true` : `type=${type},${text}`
}

interface Spec { readonly type: 'sbom' | 'provenance'; readonly isDisabled: boolean; readonly provenance: ProvenanceRequest | undefined }

function readSpec(text: string, option: string): Spec {
  const attributes = new Attributes(text, option)
  const type = attributes.word('type', ['sbom', 'provenance'])
  if (type === undefined) throw new UsageError(`option --${option} needs type=sbom or type=provenance in "${text}"`)
  const isDisabled = attributes.isOn('disabled') === true
  if (type === 'sbom' && attributes.text('generator') !== undefined) throw new UsageError(`option --${option}: tsbuild reads the packages itself and runs no generator image`)
  const provenance = type === 'provenance' ? readProvenance(attributes, option) : undefined
  attributes.finish()
  return { type, isDisabled, provenance }
}

function readProvenance(attributes: Attributes, option: string): ProvenanceRequest {
  attributes.word('version', ['v1'])
  const builderId = attributes.text('builder-id') ?? defaultBuilderId
  if (!URL.canParse(builderId)) throw new UsageError(`builder-id of option --${option} is a URI, not "${builderId}"`)
  return { mode: attributes.word('mode', ['min', 'max']) ?? 'min', builderId }
}
