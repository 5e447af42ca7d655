import type { BuildRequest, Entitlement } from '../../builder/index.ts'
import { build } from '../../builder/index.ts'
import { Canceled } from '../../core/errors.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec, OptionValues } from '../command.ts'
import { confinementOptions, parseConfinement } from '../confinement-options.ts'
import { UsageError } from '../errors.ts'
import { parseChoice, parseDuration, parsePositive, platformOption } from '../option-values.ts'
import { parseSecrets, parseSshAgents } from '../secret-options.ts'
import { createRenderer } from '../render/create-renderer.ts'

export const buildCommand: CommandSpec = {
  name: 'build',
  operands: 'CONTEXT',
  minOperands: 1,
  maxOperands: 1,
  summary: 'Build an image from a Dockerfile and a folder of files',
  options: [
    { name: 'tag', short: 't', value: 'NAME', isRepeatable: true, help: 'Name for the image' },
    { name: 'file', short: 'f', value: 'FILE', help: 'Dockerfile (default CONTEXT/Dockerfile)' },
    { name: 'target', value: 'STAGE', help: 'Stage to build (default the last)' },
    { name: 'build-arg', value: 'NAME[=VALUE]', isRepeatable: true, help: 'Value of an ARG; without one it comes from the environment' },
    { name: 'label', value: 'NAME=VALUE', isRepeatable: true, help: 'Label of the image' },
    { name: 'platform', value: 'OS/ARCH[/VARIANT]', help: 'Platform of the image' },
    { name: 'no-cache', help: 'Run every step' },
    { name: 'pull', help: 'Ask the registry for newer base images' },
    { name: 'jobs', value: 'N', help: 'Steps at the same time (default 8, or the number of processors)' },
    { name: 'secret', value: 'id=NAME[,src=FILE|,env=NAME]', isRepeatable: true, help: 'Secret for RUN --mount=type=secret' },
    { name: 'ssh', value: 'ID[=SOCKET]', isRepeatable: true, help: 'Agent for RUN --mount=type=ssh (default the socket of SSH_AUTH_SOCK)' },
    { name: 'allow', value: 'WHAT', isRepeatable: true, help: 'What RUN may ask for: network.host, security.insecure' },
    ...confinementOptions,
    { name: 'timeout', value: 'DURATION', help: 'Give up when the whole build takes longer, 30m' },
    { name: 'step-timeout', value: 'DURATION', help: 'End a RUN step that takes longer, with everything it started' },
    { name: 'iidfile', value: 'FILE', help: 'Write the image id to a file' },
    { name: 'progress', value: 'MODE', help: 'auto, plain, json or quiet' },
    { name: 'quiet', short: 'q', help: 'Print only the image id' },
  ],
  examples: ['tsbuild -t app:1 .', 'tsbuild build -t app:1 --memory 1g --network none --progress plain .'],
  run: runBuild,
}

async function runBuild({ operands: [context = '.'], options }: CommandInput, app: App): Promise<number> {
  const request = buildRequest(context, options, app.env)
  const progress = parseChoice(options, 'progress', ['auto', 'plain', 'json', 'quiet']) ?? 'auto'
  const isQuiet = options.has('quiet') || progress === 'quiet'
  const renderer = await createRenderer(app, isQuiet ? 'quiet' : progress)
  await using engine = await app.openEngine()
  try {
    const { id } = await build(request, { engine, signal: withDeadline(app.signal, parseDuration(options, 'timeout')), onEvent: (event) => renderer.handle(event) })
    await renderer.finish()
    const iidfile = options.text('iidfile')
    if (iidfile !== undefined) (await import('node:fs')).writeFileSync(iidfile, id)
    if (isQuiet) app.print(id)
    return 0
  } catch (error) {
    await renderer.finish()
    throw error
  }
}

function withDeadline(signal: AbortSignal, timeoutMs: number | undefined): AbortSignal {
  if (timeoutMs === undefined) return signal
  const deadline = new AbortController()
  setTimeout(() => { deadline.abort(new Canceled('timeout')) }, timeoutMs).unref()
  return AbortSignal.any([signal, deadline.signal])
}

function withStepTimeout(confinement: Confinement, timeoutMs: number | undefined): Confinement {
  return timeoutMs === undefined ? confinement : { ...confinement, limits: { ...confinement.limits, timeoutMs } }
}

function buildRequest(context: string, options: OptionValues, env: NodeJS.ProcessEnv): BuildRequest {
  const dockerfile = options.text('file')
  const target = options.text('target')
  const jobs = parsePositive(options, 'jobs')
  return {
    context,
    names: options.texts('tag'),
    buildArgs: parseBuildArgs(options.texts('build-arg'), env),
    labels: parsePairs(options.texts('label'), 'label'),
    platform: platformOption(options),
    noCache: options.has('no-cache'),
    pull: options.has('pull') ? 'always' : 'missing',
    secrets: parseSecrets(options.texts('secret'), env),
    sshAgents: parseSshAgents(options.texts('ssh'), env),
    allow: options.texts('allow').map(parseEntitlement),
    ...withStepTimeout(parseConfinement(options, env), parseDuration(options, 'step-timeout')),
    ...(dockerfile === undefined ? {} : { dockerfile }),
    ...(target === undefined ? {} : { target }),
    ...(jobs === undefined ? {} : { jobs }),
  }
}

function parseEntitlement(text: string): Entitlement {
  if (text === 'network.host' || text === 'security.insecure') return text
  throw new UsageError(`option --allow takes network.host or security.insecure, not "${text}"`)
}

/** A name alone takes its value from the environment, and is not given at all where that has none. */
function parseBuildArgs(texts: readonly string[], env: NodeJS.ProcessEnv): Record<string, string> {
  const pairs = texts.flatMap((text): [string, string][] => {
    const equals = text.indexOf('=')
    if (equals === 0) throw new UsageError(`option --build-arg takes NAME=VALUE, not "${text}"`)
    if (equals > 0) return [[text.slice(0, equals), text.slice(equals + 1)]]
    const value = env[text]
    return value === undefined ? [] : [[text, value]]
  })
  return Object.fromEntries(pairs)
}

function parsePairs(texts: readonly string[], option: string): Record<string, string> {
  return Object.fromEntries(texts.map((text): [string, string] => {
    const equals = text.indexOf('=')
    if (equals === 0) throw new UsageError(`option --${option} takes NAME=VALUE, not "${text}"`)
    return equals === -1 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)]
  }))
}
