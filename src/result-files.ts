import { statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { BuildEvent, BuildRequest, BuildResult } from '../builder/index.ts'
import { formatPlatform } from '../oci/platform.ts'
import type { OptionValues } from './command.ts'
import { UsageError } from './errors.ts'
import { writeText } from './write-text.ts'

export type ResultWarning = Extract<BuildEvent, { type: 'warning-raised' }>

/** What cannot be written in the end is refused in the beginning. @throws {UsageError} */
export function checkResultFiles(options: OptionValues): void {
  for (const name of ['iidfile', 'metadata-file']) {
    const path = options.text(name)
    if (path === undefined) continue
    if (!isDirectory(dirname(resolve(path)))) throw new UsageError(`option --${name} names "${path}", and there is no folder for it`)
    if (isDirectory(path)) throw new UsageError(`option --${name} names "${path}", which is a folder`)
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

const provenanceVariable = 'BUILDX_METADATA_PROVENANCE'

/** How much of the provenance the metadata file gets, said where buildx looks for it. @throws {UsageError} */
export function parseDescribes(options: OptionValues, env: NodeJS.ProcessEnv): Pick<BuildRequest, 'describes'> {
  if (!options.has('metadata-file')) return {}
  const mode = env[provenanceVariable]?.toLowerCase() ?? ''
  if (mode === 'disabled' || mode === 'false' || mode === '0') return {}
  if (mode === '' || mode === 'min' || mode === 'true' || mode === '1') return { describes: 'min' }
  if (mode === 'max') return { describes: 'max' }
  throw new UsageError(`${provenanceVariable} is min, max or disabled, not "${mode}"`)
}

export async function writeResultFiles(result: BuildResult, { options, warnings, env }: { readonly options: OptionValues; readonly warnings: readonly ResultWarning[]; readonly env: NodeJS.ProcessEnv }): Promise<void> {
  const iidfile = options.text('iidfile')
  if (iidfile !== undefined) await writeText(iidfile, result.id)
  const file = options.text('metadata-file')
  if (file === undefined) return
  const wantsWarnings = ['1', 'true'].includes(env['BUILDX_METADATA_WARNINGS']?.toLowerCase() ?? '')
  await writeText(file, `${JSON.stringify({ ...describeResult(result), ...wantsWarnings ? { 'buildx.build.warnings': warnings.map(describeWarning) } : {} }, undefined, 2)}\n`)
}

/** As BuildKit tells clients of warnings: texts in base64, lines counted from 1. */
function describeWarning({ rule, message, range }: ResultWarning): Record<string, unknown> {
  return {
    level: 1,
    short: Buffer.from(`${rule}: ${message}`).toString('base64'),
    ...range === undefined ? {} : { range: [{ start: { line: range.startLine, character: range.startColumn }, end: { line: range.endLine, character: range.endColumn } }] },
  }
}

/** With the names that buildx gives these values. Of several images there is no one configuration. */
function describeResult({ id, build, provenance, names, descriptor, outputs }: BuildResult): Record<string, unknown> {
  const left = outputs.find(({ output }) => output.type === 'registry') ?? outputs.find((written) => written.output.type !== 'image' && written.descriptor !== undefined) ?? outputs.find(({ output }) => output.type === 'image')
  const image = left?.descriptor
  const pushedNames = outputs.flatMap(({ output }) => output.type === 'registry' ? output.names : [])
  const isSeveral = id === descriptor.digest
  return {
    // Builder, node and build, which is how programs take it apart.
    'buildx.build.ref': `tsbuild/tsbuild/${build}`,
    ...Object.fromEntries(provenance.map(({ platform, predicate }) => [provenance.length === 1 ? 'buildx.build.provenance' : `buildx.build.provenance/${formatPlatform(platform)}`, predicate])),
    ...image === undefined ? {} : { ...isSeveral ? {} : { 'containerimage.config.digest': id }, 'containerimage.descriptor': image, 'containerimage.digest': image.digest, 'image.name': (names.length > 0 ? names : pushedNames).join(',') },
  }
}
