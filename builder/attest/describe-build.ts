import type { Platform } from '../../oci/platform.ts'
import type { DockerfileSource } from '../dockerfile/instruction.ts'
import type { BuildPlan, NodeId } from '../plan/plan.ts'
import type { BuildProgress } from '../record/build-progress.ts'
import type { Material, ProvenanceParts } from './provenance.ts'

/** What was asked for and seen. */
export interface DescribedRequest {
  readonly target?: string
  readonly buildArgs?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly secrets?: Readonly<Record<string, unknown>>
  readonly sshAgents?: Readonly<Record<string, readonly string[]>>
  readonly build: string
  readonly startedAtMs: number
  readonly progress: BuildProgress
}

/** What the build began with. */
export interface BuildOrigin {
  readonly plan: BuildPlan
  readonly context: { readonly dockerfile: DockerfileSource }
  readonly bases: { materials(): Promise<Material[]> }
}

/** What provenance says of a build that is over but for its outputs. Secrets and agents are named, and nothing more. */
export async function describeBuild(request: DescribedRequest, { plan, context: { dockerfile }, bases }: BuildOrigin, { used, platform }: { readonly used: ReadonlyMap<NodeId, unknown>; readonly platform: Platform }): Promise<Omit<ProvenanceParts, 'request'>> {
  const { target, buildArgs = {}, labels = {}, secrets = {}, sshAgents = {}, build, startedAtMs, progress } = request
  return {
    parameters: { target, buildArgs, labels, platform, secrets: Object.keys(secrets), sshAgents: Object.keys(sshAgents), dockerfile },
    materials: await bases.materials(),
    plan,
    run: { build, startedAtMs, finishedAtMs: Date.now(), steps: progress.steps, used: new Set(used.keys()) },
  }
}
