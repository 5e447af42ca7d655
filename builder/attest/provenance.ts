import type { Digest } from '../../oci/digest.ts'
import { sha256 } from '../../oci/digest.ts'
import type { Json, JsonObject } from '../../oci/json.ts'
import type { Platform } from '../../oci/platform.ts'
import { formatPlatform } from '../../oci/platform.ts'
import { proxyVariables } from '../dockerfile/arg-scope.ts'
import type { BuildPlan, NodeId, PlanNode } from '../plan/plan.ts'
import type { StepProgress } from '../record/build-progress.ts'
import type { ProvenanceRequest } from './attestation-request.ts'
import { digestSet, present } from './statement.ts'

/** A base image as it was resolved. */
export interface Material {
  /** The canonical name. */
  readonly name: string
  readonly platform: Platform
  /** Of the platform's manifest. */
  readonly digest: Digest
}

/** What a build was asked for, without what is secret. */
export interface BuildParameters {
  readonly target: string | undefined
  readonly buildArgs: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly platform: Platform
  readonly secrets: readonly string[]
  readonly sshAgents: readonly string[]
  readonly dockerfile: { readonly name: string; readonly text: string }
}

export interface ObservedRun {
  /** By which the build's record is found. */
  readonly build: string
  readonly startedAtMs: number
  readonly finishedAtMs: number
  readonly steps: readonly StepProgress[]
  /** Those whose results the image needed. */
  readonly used: ReadonlySet<NodeId>
}

export interface ProvenanceParts {
  readonly request: ProvenanceRequest
  readonly parameters: BuildParameters
  readonly materials: readonly Material[]
  readonly plan: BuildPlan
  readonly run: ObservedRun
}

/** How an image was made. @see slsa.dev/provenance/v1 */
export function provenance({ request, parameters, materials, plan, run }: ProvenanceParts): JsonObject {
  const isMax = request.mode === 'max'
  const { target, platform, dockerfile } = parameters
  return {
    buildDefinition: {
      buildType: 'urn:tsbuild:dockerfile:v1',
      externalParameters: present({
        configSource: { path: dockerfile.name, digest: digestSet(sha256(dockerfile.text)) },
        target,
        platform: formatPlatform(platform),
        ...isMax ? given(parameters) : {},
      }),
      internalParameters: isMax ? { dockerfile: dockerfile.text } : {},
      resolvedDependencies: [...materials.map(describeImage), ...[...plan.nodes].flatMap(([id, node]) => run.used.has(id) ? describeDownload(node) : [])],
    },
    runDetails: {
      builder: { id: request.builderId },
      metadata: present({
        invocationId: run.build,
        startedOn: time(run.startedAtMs),
        finishedOn: time(run.finishedAtMs),
        tsbuild_steps: isMax ? run.steps.filter(({ node }) => run.used.has(node)).map(describeStep) : undefined,
      }),
    },
  }
}

/** Proxies stand for the place of the build, and their addresses often hold a password. */
function given({ buildArgs, labels, secrets, sshAgents }: BuildParameters): Record<string, Json> {
  const all = new Map(Object.entries(buildArgs))
  const proxies = proxyVariables(all)
  return {
    buildArgs: Object.fromEntries([...all].filter(([name]) => !proxies.has(name))),
    labels,
    secrets: secrets.map((id) => ({ id })),
    ssh: sshAgents.map((id) => ({ id })),
  }
}

function describeImage({ name, platform, digest }: Material): JsonObject {
  const tag = /:([^:/@]+)(?:@.*)?$/u.exec(name)?.[1]
  const repository = name.replace(/@.*$/u, '').replace(/:[^:/]+$/u, '').replace(/^docker\.io\/(?:library\/)?/u, '')
  const version = tag === undefined ? '' : `@${tag}`
  return { uri: `pkg:docker/${repository}${version}?platform=${encodeURIComponent(formatPlatform(platform))}`, digest: digestSet(digest) }
}

function describeDownload(node: PlanNode): JsonObject[] {
  if (node.kind === 'http') return [present({ uri: node.url, digest: node.digest === undefined ? undefined : { [node.digest.algorithm]: node.digest.hex } })]
  if (node.kind !== 'git') return []
  const remote = node.remote.replace(/:\/\/[^/@]*@/u, '://')
  return [present({ uri: node.ref === undefined ? remote : `${remote}#${node.ref}`, digest: node.commit === undefined ? undefined : { gitCommit: node.commit } })]
}

function describeStep({ label, state, startedAtMs, endedAtMs, usage }: StepProgress): JsonObject {
  return present({
    stage: label.stage,
    step: label.step,
    source: label.source,
    outcome: state,
    startedOn: startedAtMs === undefined ? undefined : time(startedAtMs),
    finishedOn: endedAtMs === undefined ? undefined : time(endedAtMs),
    usage: usage === undefined ? undefined : present({ wallMs: usage.wallMs, cpuMs: usage.cpuMs, memoryPeakBytes: usage.memoryPeakBytes, oomKills: usage.oomKills }),
  })
}

function time(ms: number): string {
  return new Date(ms).toISOString()
}
