import type { BuildEvent, BuildRequest, CallMethod, Entitlement, PullMode } from '../../builder/index.ts'
import { build, callBuild } from '../../builder/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec, OptionValues } from '../command.ts'
import { confinementOptions, parseConfinement } from '../confinement-options.ts'
import { UsageError } from '../errors.ts'
import { parseChoice, parsePositive, platformOption } from '../option-values.ts'
import { parseSecrets, parseSshAgents } from '../secret-options.ts'
import { createRenderer } from '../render/create-renderer.ts'
import { MissCauses } from '../render/miss-causes.ts'

export const buildCommand: CommandSpec = {
  name: 'build',
  operands: 'FOLDER|URL|-',
  minOperands: 1,
  maxOperands: 1,
  summary: 'Build an image from a Dockerfile and a folder of files',
  options: [
    { name: 'tag', short: 't', value: 'NAME', isRepeatable: true, help: 'Name for the image' },
    { name: 'file', short: 'f', value: 'FILE', help: 'Dockerfile (default Dockerfile of the context); - for standard input' },
    { name: 'build-context', value: 'NAME=VALUE', isRepeatable: true, help: 'Folder, docker-image://, oci-layout://, git or http for COPY --from and FROM' },
    { name: 'check', help: 'Check the Dockerfile and build nothing' },
    { name: 'call', value: 'METHOD[,format=json]', help: 'Ask instead of building: check, outline or targets' },
    { name: 'print-context', help: 'Tell what COPY may see, the largest first, and build nothing' },
    { name: 'target', value: 'STAGE', help: 'Stage to build (default the last)' },
    { name: 'build-arg', value: 'NAME[=VALUE]', isRepeatable: true, help: 'Value of an ARG; without one it comes from the environment' },
    { name: 'label', value: 'NAME=VALUE', isRepeatable: true, help: 'Label of the image' },
    { name: 'platform', value: 'OS/ARCH[/VARIANT]', help: 'Platform of the image' },
    { name: 'no-cache', help: 'Run every step' },
    { name: 'no-cache-filter', value: 'STAGE[,STAGE]', isRepeatable: true, help: 'Run every step of these stages' },
    { name: 'explain-cache', help: 'Say of every step that was run why its result was not in the cache' },
    { name: 'pull', value: 'MODE', bare: 'always', help: 'When to ask registries for base images: missing (default), always, newer or never' },
    { name: 'network', value: 'MODE', help: 'Network of RUN steps: host (default) or none' },
    { name: 'jobs', value: 'N', help: 'Steps at the same time (default 8, or the number of processors)' },
    { name: 'secret', value: 'id=NAME[,src=FILE|,env=NAME]', isRepeatable: true, help: 'Secret for RUN --mount=type=secret' },
    { name: 'ssh', value: 'ID[=SOCKET]', isRepeatable: true, help: 'Agent for RUN --mount=type=ssh (default the socket of SSH_AUTH_SOCK)' },
    { name: 'allow', value: 'WHAT', isRepeatable: true, help: 'What RUN may ask for: network.host, security.insecure' },
    ...confinementOptions,
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
  const causes = options.has('explain-cache') ? new MissCauses() : undefined
  const onEvent = (event: BuildEvent): void => {
    renderer.handle(event)
    causes?.handle(event)
  }
  const asked = parseCall(options)
  if (asked !== undefined) return answerCall(request, asked, app)
  await using engine = await app.openEngine()
  try {
    const { id } = await build(request, { engine, signal: app.signal, onEvent })
    await renderer.finish()
    for (const line of causes?.lines() ?? []) app.note(line)
    const iidfile = options.text('iidfile')
    if (iidfile !== undefined) (await import('node:fs')).writeFileSync(iidfile, id)
    if (isQuiet) app.print(id)
    return 0
  } catch (error) {
    await renderer.finish()
    throw error
  }
}

interface Asked { readonly method: CallMethod; readonly isJson: boolean }

function parseCall(options: OptionValues): Asked | undefined {
  const isJson = options.text('progress') === 'json'
  if (options.has('print-context')) return { method: 'context', isJson }
  const text = options.text('call') ?? (options.has('check') ? 'check' : 'build')
  const [method = '', format, ...rest] = text.split(',')
  if (rest.length > 0 || !['build', 'check', 'lint', 'outline', 'targets'].includes(method) || ![undefined, 'format=json', 'format=text'].includes(format)) {
    throw new UsageError(`option --call takes check, outline or targets, and format=json behind a comma, not "${text}"`)
  }
  if (method === 'build') return undefined
  return { method: method === 'outline' || method === 'targets' ? method : 'check', isJson: isJson || format === 'format=json' }
}

async function answerCall(request: BuildRequest, { method, isJson }: Asked, app: App): Promise<number> {
  const { answerExitCode, encodeAnswer, renderAnswer } = await import('../render/call.ts')
  await using engine = await app.openEngine()
  const answer = await callBuild(request, method, { engine, signal: app.signal })
  for (const line of isJson ? [encodeAnswer(answer)] : renderAnswer(answer)) app.print(line)
  return answerExitCode(answer)
}

function buildRequest(context: string, options: OptionValues, env: NodeJS.ProcessEnv): BuildRequest {
  const dockerfile = options.text('file')
  const target = options.text('target')
  const network = parseChoice(options, 'network', ['none', 'host', 'default'])
  const jobs = parsePositive(options, 'jobs')
  return {
    context,
    contexts: parsePairs(options.texts('build-context'), 'build-context'),
    ...(context === '-' || dockerfile === '-' ? { stdin: process.stdin } : {}),
    names: options.texts('tag'),
    buildArgs: parseBuildArgs(options.texts('build-arg'), env),
    labels: parsePairs(options.texts('label'), 'label'),
    platform: platformOption(options),
    noCache: options.has('no-cache') || options.texts('no-cache-filter').flatMap((text) => text.split(',')),
    pull: parsePull(options),
    secrets: parseSecrets(options.texts('secret'), env),
    sshAgents: parseSshAgents(options.texts('ssh'), env),
    allow: options.texts('allow').map(parseEntitlement),
    ...parseConfinement(options),
    ...(dockerfile === undefined ? {} : { dockerfile }),
    ...(target === undefined ? {} : { target }),
    ...(network === undefined ? {} : { network: network === 'default' ? 'host' : network }),
    ...(jobs === undefined ? {} : { jobs }),
  }
}

function parseEntitlement(text: string): Entitlement {
  if (text === 'network.host' || text === 'security.insecure') return text
  throw new UsageError(`option --allow takes network.host or security.insecure, not "${text}"`)
}

/** Docker's `--pull` is a switch, Buildah's and podman's a mode. */
function parsePull(options: OptionValues): PullMode {
  const mode = parseChoice(options, 'pull', ['missing', 'always', 'newer', 'never', 'true', 'false']) ?? 'missing'
  if (mode === 'true') return 'always'
  return mode === 'false' ? 'missing' : mode
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
