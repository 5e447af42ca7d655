import type { TaskOptions } from '../../core/task.ts'
import { createTask, silent } from '../../core/task.ts'
import { hostPlatform } from '../../oci/platform.ts'
import { BuildBases } from '../base-images.ts'
import type { BuildRequest } from '../build-request.ts'
import { namedContexts, openBuildContext } from '../build-inputs.ts'
import { openMemoryContext } from '../context/memory-context.ts'
import type { DockerfileSource } from '../dockerfile/instruction.ts'
import type { LintResult } from '../dockerfile/lint/lint.ts'
import type { Outline, TargetListing } from '../dockerfile/outline.ts'
import { listTargets, outlineTarget } from '../dockerfile/outline.ts'
import { parseDockerfile } from '../dockerfile/parse.ts'
import type { Engine } from '../engine.ts'
import type { BuildEvent } from '../events.ts'
import { argInputs, checkDockerfile } from './check-dockerfile.ts'
import type { ContextReport } from './context-report.ts'
import { reportContext } from './context-report.ts'

/** What can be asked about a build without building. */
export type CallMethod = 'check' | 'outline' | 'targets' | 'context'

export type CallAnswer =
  | { readonly method: 'check'; readonly source: DockerfileSource; readonly result: LintResult }
  | { readonly method: 'outline'; readonly source: DockerfileSource; readonly outline: Outline }
  | { readonly method: 'targets'; readonly source: DockerfileSource; readonly targets: readonly TargetListing[] }
  | { readonly method: 'context'; readonly report: ContextReport }

/** @throws {DockerfileError} @throws {ContextUnreadable} */
export async function callBuild(request: BuildRequest, method: CallMethod, options: TaskOptions<BuildEvent> & { readonly engine: Engine }): Promise<CallAnswer> {
  const task = createTask(options)
  using memory = openMemoryContext(request)
  const { context: _context, dockerfile: _dockerfile, ...rest } = request
  const context = await openBuildContext(options.engine.store, { ...rest, ...memory.paths }, task)
  if (method === 'context') return { method, report: await reportContext(context.view, silent(task)) }
  const dockerfile = parseDockerfile(context.dockerfile)
  const { source } = dockerfile
  const host = hostPlatform(process.arch)
  const inputs = { target: request.target, buildArgs: new Map(Object.entries(request.buildArgs ?? {})), platform: request.platforms?.[0] ?? host, buildPlatform: host }
  const args = argInputs(inputs)
  switch (method) {
    case 'targets': return { method, source, targets: listTargets(dockerfile) }
    case 'outline': return { method, source, outline: outlineTarget(dockerfile, request.target, args) }
    case 'check': {
      const images = new BuildBases(options.engine, { pull: request.pull ?? 'missing', task })
      const contexts = new Set(namedContexts(request).keys())
      return { method, source, result: await checkDockerfile({ dockerfile, ...inputs, args, contexts, ignore: context.ignore }, images, silent(task)) }
    }
  }
}
