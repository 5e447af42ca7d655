import { MalformedDocument } from '../../../oci/errors.ts'
import type { Platform } from '../../../oci/platform.ts'
import { formatPlatform, parsePlatform } from '../../../oci/platform.ts'
import { evaluateGlobalArgs } from '../arg-scope.ts'
import { DockerfileError } from '../errors.ts'
import { expandWord } from '../expand/expand.ts'
import type { ResolvedStage } from '../stage-graph.ts'
import type { LintContext } from './facts.ts'
import { variableLocator } from './locate-variable.ts'

/** The checks of FROM lines, all of which are looked at. */
export function checkFromLines(context: LintContext): void {
  checkDefaults(context)
  for (const stage of context.stages) {
    checkDeclared(stage, context)
    checkPlatform(stage, context)
    checkBasePlatform(stage, context)
  }
}

function checkDeclared({ stage, references }: ResolvedStage, { lines, global, reporter }: LintContext): void {
  if (references.unset.size === 0) return
  const locate = variableLocator(lines, stage.from.range)
  const declared = new Set([...global.variables.keys(), ...global.declarations.map(({ name }) => name)])
  for (const name of references.unset) {
    if (declared.has(name)) continue
    reporter.report('UndefinedArgInFrom', {
      message: `FROM uses ${name}, which no ARG before the first FROM declares`,
      range: locate(name),
      nearest: { written: name, candidates: declared },
    }, stage.from)
  }
}

/** As if no build argument were given. */
function checkDefaults({ dockerfile, facts, reporter }: LintContext): void {
  try {
    const { variables } = evaluateGlobalArgs(dockerfile, { ...facts.args, buildArgs: new Map() })
    for (const { from } of dockerfile.stages) {
      const base = expandWord(from.base, variables, dockerfile).text
      if (isReference(base)) continue
      reporter.report('InvalidDefaultArgInFrom', { message: `The defaults make ${from.base.text} ${base === '' ? 'empty' : `${JSON.stringify(base)}, which names no image`}`, range: from.base.range }, from)
    }
  } catch (error) {
    // The build meets the same error unless an argument is given, and then it says so itself.
    if (!(error instanceof DockerfileError)) throw error
  }
}

/** Form only, as far as a name that could be pulled needs it. */
function isReference(text: string): boolean {
  const [, name = ''] = /^(.+?)(?::[\w][\w.-]{0,127})?(?:@[A-Za-z][\w.+-]*:[0-9a-fA-F]{32,})?$/u.exec(text) ?? []
  if (/^[0-9a-f]{64}$/u.test(name)) return false
  const [first = '', ...rest] = name.split('/')
  const hasDomain = rest.length > 0 && (/[.:]/u.test(first) || first === 'localhost' || first !== first.toLowerCase())
  if (hasDomain && !/^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d+)?$/u.test(first)) return false
  return (hasDomain ? rest : [first, ...rest]).every((part) => /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/u.test(part))
}

function checkPlatform({ stage }: ResolvedStage, { dockerfile, facts, global, reporter }: LintContext): void {
  const { from } = stage
  if (from.platform === undefined) return
  const { text, used, unset } = expandWord(from.platform, global.variables, dockerfile)
  const { range } = from.platform
  if (used.size === 1 && unset.size === 0 && used.has('TARGETPLATFORM') && text === global.variables.get('TARGETPLATFORM')) {
    reporter.report('RedundantTargetPlatform', { message: `--platform=${from.platform.text} is what FROM does anyway`, range }, from)
  }
  const platform = used.size === 0 && unset.size === 0 ? findPlatform(text, facts.platforms.build) : undefined
  if (platform === undefined) return
  const name = stage.name ?? ''
  if (name.includes(platform.os) || name.includes(platform.architecture)) return
  reporter.report('FromPlatformFlagConstDisallowed', { message: `--platform=${text} is a constant: builds for other platforms will use it too`, range }, from)
}

function checkBasePlatform({ stage, from }: ResolvedStage, { facts, global, reporter }: LintContext): void {
  const base = facts.bases.get(stage.index)
  const wanted = from.platform === undefined ? facts.platforms.target : findPlatform(from.platform.text, facts.platforms.build)
  if (base === undefined || wanted === undefined) return
  const { platform } = base
  if (platform.os === wanted.os && platform.architecture === wanted.architecture) return
  const argument = global.variables.get('TARGETPLATFORM') === formatPlatform(wanted) ? ' for this build' : ''
  reporter.report('InvalidBaseImagePlatform', {
    message: `${from.base.text} is for ${formatPlatform(platform)}, wanted${argument} is ${formatPlatform(wanted)}`,
    range: stage.from.base.range,
  }, stage.from)
}

function findPlatform(text: string, base: Platform): Platform | undefined {
  try {
    return parsePlatform(text, base)
  } catch (error) {
    if (!(error instanceof MalformedDocument)) throw error
    return undefined
  }
}
