/** The manifests of packaging/kubernetes, as far as tests look at them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { parse } from 'yaml'

const project = join(import.meta.dirname, '..', '..')
const schema = JSON.parse(readFileSync(join(project, 'testdata/kubernetes/batch-v1.schema.json'), 'utf8')) as object
const validate = new Ajv2020({ strict: false, allErrors: true }).compile(schema)

export interface PodSpec {
  readonly containers: readonly { readonly command: readonly string[]; readonly env: readonly { readonly name: string; readonly value: string }[]; readonly volumeMounts: readonly { readonly name: string }[] }[]
  readonly volumes: readonly { readonly name: string }[]
}

interface JobSpec { readonly template: { readonly spec: PodSpec } }
type Workload = { readonly kind: 'Job'; readonly spec: JobSpec } | { readonly kind: 'CronJob'; readonly spec: { readonly jobTemplate: { readonly spec: JobSpec } } }

/** The pod that a manifest makes. The test fails when the manifest is not what Kubernetes takes. */
export function readPod(file: string): PodSpec {
  const manifest: unknown = parse(readFileSync(join(project, 'packaging/kubernetes', file), 'utf8'))
  if (!validate(manifest)) throw new Error(`${file}: ${(validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`).join('; ')}`)
  const workload = manifest as Workload
  return workload.kind === 'Job' ? workload.spec.template.spec : workload.spec.jobTemplate.spec.template.spec
}
