import type { BuildEvent, BuildOutput, BuildRequest, Confinement, Entitlement, PullMode } from '../../builder/index.ts'
import { build, checkRequest } from '../../builder/index.ts'
import { Canceled } from '../../core/errors.ts'
import type { App } from '../app.ts'
import { attestationOptions, parseAttestations } from '../attestation-options.ts'
import { cacheOptions, parseCacheFrom, parseCacheTo } from '../cache-options.ts'
import type { CommandInput, CommandSpec, OptionValues } from '../command.ts'
import { confinementOptions, parseConfinement, warnOfIsolation } from '../confinement-options.ts'
import { UsageError } from '../errors.ts'
import { failureOption, openFailureHandler } from '../failure-options.ts'
import { checkImplied, foreignBuildOptions, impliedBuildOptions } from '../foreign-build-options.ts'
import { withDefaults } from '../option-defaults.ts'
import { parseChoice, parseDuration, parsePositive, platformsOption } from '../option-values.ts'
import { EventGate } from '../render/event-gate.ts'
import { createRenderer, progressModes } from '../render/create-renderer.ts'
import { startLoader } from '../load-into.ts'
import { outputOptions, parseAnnotations, parseOutputs, parseSquash } from '../output-options.ts'
import { answerCall, parseCall } from '../call-option.ts'
import { parseSecrets, parseSshAgents } from '../secret-options.ts'
import { MissCauses } from '../render/miss-causes.ts'
import type { ResultWarning } from '../result-files.ts'
import { checkResultFiles, parseDescribes, writeResultFiles } from '../result-files.ts'
import { findSourceDate } from '../source-date.ts'
import { verifyReproducible } from '../verify-reproducible.ts'

export const buildCommand: CommandSpec = {
  name: 'build',
  operands: 'FOLDER|URL|-',
  minOperands: 1,
  maxOperands: 1,
  summary: 'Build an image from a Dockerfile and a folder of files',
  options: [
    { name: 'tag', short: 't', value: 'NAME', isRepeatable: true, help: 'Name for the image' },
    { name: 'file', short: 'f', value: 'FILE', help: 'Dockerfile (default Dockerfile of the context, or Containerfile); - for standard input' },
    { name: 'build-context', value: 'NAME=VALUE', isRepeatable: true, help: 'Folder, docker-image://, oci-layout://, git or http for COPY --from and FROM' },
    { name: 'check', help: 'Check the Dockerfile and build nothing' },
    { name: 'call', value: 'METHOD[,format=json]', help: 'Ask instead of building: check, outline or targets' },
    { name: 'print-context', help: 'Tell what COPY may see, the largest first, and build nothing' },
    { name: 'target', value: 'STAGE', help: 'Stage to build (default the last)' },
    { name: 'build-arg', value: 'NAME[=VALUE]', isRepeatable: true, help: 'Value of an ARG; without one it comes from the environment' },
    { name: 'label', value: 'NAME=VALUE', isRepeatable: true, help: 'Label of the image' },
    { name: 'platform', value: 'OS/ARCH[/VARIANT],…', isRepeatable: true, help: 'Platform of the image; of several an index is made' },
    { name: 'no-cache', help: 'Run every step' },
    { name: 'no-cache-filter', value: 'STAGE[,STAGE]', isRepeatable: true, help: 'Run every step of these stages' },
    { name: 'explain-cache', help: 'Say of every step that was run why its result was not in the cache' },
    { name: 'pull', value: 'MODE', bare: 'always', help: 'When to ask registries for base images: missing (default), always, newer or never' },
    { name: 'jobs', value: 'N', help: 'Steps at the same time (default 8, or the number of processors)' },
    { name: 'secret', value: 'id=NAME[,src=FILE|,env=NAME]', isRepeatable: true, help: 'Secret for RUN --mount=type=secret' },
    { name: 'ssh', value: 'ID[=SOCKET|=KEY,…]', isRepeatable: true, help: 'Agent or keys for RUN --mount=type=ssh (default the socket of SSH_AUTH_SOCK)' },
    { name: 'allow', value: 'WHAT', isRepeatable: true, help: 'What RUN may ask for: network.host, security.insecure, device, device=NAME' },
    { name: 'cdi-spec-dir', value: 'DIR', isRepeatable: true, help: 'Folder of CDI specifications for RUN --device (default /etc/cdi and /var/run/cdi)' },
    ...confinementOptions,
    failureOption,
    ...cacheOptions,
    ...outputOptions,
    ...attestationOptions,
    { name: 'source-date-epoch', value: 'SECONDS|git', help: 'Time of the image and upper bound of times in its layers (default SOURCE_DATE_EPOCH, as build argument or in the environment)' },
    { name: 'verify-reproducible', help: 'First build twice without cache, at another time and with another host name, umask, directory order and number of processors, and fail at the first difference' },
    { name: 'timeout', value: 'DURATION', help: 'Give up when the whole build takes longer, 30m' },
    { name: 'step-timeout', value: 'DURATION', help: 'End a RUN step that takes longer, with everything it started' },
    { name: 'iidfile', value: 'FILE', help: 'Write the image id to a file' },
    { name: 'metadata-file', value: 'FILE', help: 'Write digests, names, provenance and the build\'s id to a file, as JSON with the keys of buildx' },
    { name: 'progress', value: 'MODE', help: 'auto, tty, plain, json (docs/build-events.schema.json) or quiet' },
    { name: 'quiet', short: 'q', help: 'Print only the image id' },
    ...impliedBuildOptions,
  ],
  foreignOptions: foreignBuildOptions,
  examples: [
    'tsbuild -t app:1 .',
    'tsbuild build -t app:1 --memory 1g --network none --progress plain .',
    'tsbuild build --target test --build-arg VERSION=2 --secret id=token,src=token.txt .',
    'tsbuild build -t registry.example/app:1 --platform linux/amd64,linux/arm64 --push --sbom --provenance .',
    'tsbuild build -o type=local,dest=out .',
    'tsbuild build -f - . <Dockerfile',
  ],
  run: runBuild,
}

async function runBuild({ operands: [context = '.'], options: given }: CommandInput, app: App): Promise<number> {
  const options = await withDefaults(given, app.env)
  const asked = parseCall(options)
  return asked === undefined ? buildFrom(context, options, app) : answerCall(buildRequest(context, options, app.env), asked, app)
}

async function buildFrom(context: string, options: OptionValues, app: App): Promise<number> {
  checkImplied(options)
  checkResultFiles(options)
  const { request, loader } = requestWithOutputs(context, options, app)
  warnOfIsolation({ executor: request.executor ?? { kind: 'helper' } }, app)
  const progress = parseProgress(options, app)
  const title = request.names?.[0] ?? context
  const renderer = await createRenderer(app, progress, title)
  const causes = new MissCauses()
  const warnings: ResultWarning[] = []
  const gate = new EventGate(renderer)
  const failure = openFailureHandler(options, app, gate.pause)
  const onEvent = (event: BuildEvent): void => {
    gate.handle(event)
    causes.handle(event)
    if (event.type === 'warning-raised') warnings.push(event)
  }
  await using engine = await app.openEngine()
  const common = { command: { args: app.args, cwd: process.cwd() }, signal: withDeadline(app.signal, parseDuration(options, 'timeout')) }
  try {
    const verified = options.has('verify-reproducible') ? await gate.pause(() => verifyReproducible(request, { engine, progress, title, options: common }, app)) : request
    const result = await build(verified, { ...common, engine, onEvent, onFailure: failure?.handle })
    await loader?.finish()
    await writeResultFiles(result, { options, warnings, env: app.env })
    await renderer.finish()
    noteCauses(causes, options, app)
    if (progress === 'quiet' && request.outputs?.some(isStream) !== true) app.print(result.id)
    return 0
  } catch (error) {
    await renderer.finish()
    await failure?.finish(engine)
    throw await loader?.discard(error) ?? error
  }
}

/** With what `--load` hands over. It is started once the rest is known to be possible. */
function requestWithOutputs(context: string, options: OptionValues, app: App): { request: BuildRequest; loader: ReturnType<typeof startLoader> | undefined } {
  const { outputs, names, loads } = parseOutputs(options, process.stdout)
  const own = buildRequest(context, options, app.env)
  const asked: BuildRequest = { ...own, names: [...own.names ?? [], ...names], outputs }
  checkRequest(asked)
  if (!loads) return { request: asked, loader: undefined }
  const loader = startLoader(app.env)
  return { request: { ...asked, outputs: [...outputs, { type: 'docker', names: [], to: { kind: 'stream', stream: loader.stream } }] }, loader }
}

function noteCauses(causes: MissCauses, options: OptionValues, app: App): void {
  if (options.has('explain-cache')) for (const line of causes.lines()) app.note(line)
}

function isStream(output: BuildOutput): boolean {
  return 'to' in output && output.to.kind === 'stream' && output.to.stream === process.stdout
}

function parseProgress(options: OptionValues, app: App): (typeof progressModes)[number] {
  const progress = options.has('quiet') ? 'quiet' : parseChoice(options, 'progress', progressModes) ?? 'auto'
  if (progress === 'tty' && !app.isTerminal) throw new UsageError('option --progress tty needs a terminal on standard error')
  return progress
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
  const squash = parseSquash(options)
  const buildArgs = parseBuildArgs(options.texts('build-arg'), env)
  const sourceDateEpoch = findSourceDate([options.text('source-date-epoch'), buildArgs['SOURCE_DATE_EPOCH'], env['SOURCE_DATE_EPOCH']], context)
  return {
    context,
    contexts: parsePairs(options.texts('build-context'), 'build-context'),
    ...(context === '-' || dockerfile === '-' ? { stdin: process.stdin } : {}),
    names: options.texts('tag'),
    buildArgs: sourceDateEpoch === undefined ? buildArgs : { ...buildArgs, SOURCE_DATE_EPOCH: String(sourceDateEpoch) },
    labels: parsePairs(options.texts('label'), 'label'),
    platforms: platformsOption(options),
    noCache: options.has('no-cache') || options.texts('no-cache-filter').flatMap((text) => text.split(',')),
    pull: parsePull(options),
    cacheFrom: parseCacheFrom(options.texts('cache-from')),
    cacheTo: parseCacheTo(options.texts('cache-to')),
    annotations: parseAnnotations(options.texts('annotation')),
    attestations: parseAttestations(options),
    ...parseDescribes(options, env),
    ...(squash === undefined ? {} : { squash }),
    ...(sourceDateEpoch === undefined ? {} : { sourceDateEpoch }),
    secrets: parseSecrets(options.texts('secret'), env),
    sshAgents: parseSshAgents(options.texts('ssh'), env),
    allow: options.texts('allow').map(parseEntitlement),
    ...(options.has('cdi-spec-dir') ? { cdiFolders: options.texts('cdi-spec-dir') } : {}),
    ...withStepTimeout(parseConfinement(options, env), parseDuration(options, 'step-timeout')),
    ...(dockerfile === undefined ? {} : { dockerfile }),
    ...(target === undefined ? {} : { target }),
    ...(jobs === undefined ? {} : { jobs }),
  }
}

/** Docker's `--pull` is a switch, Buildah's and podman's a mode. */
function parsePull(options: OptionValues): PullMode {
  const mode = parseChoice(options, 'pull', ['missing', 'always', 'newer', 'never', 'true', 'false']) ?? 'missing'
  if (mode === 'true') return 'always'
  return mode === 'false' ? 'missing' : mode
}

function parseEntitlement(text: string): Entitlement {
  if (text === 'network.host' || text === 'security.insecure' || text === 'device') return text
  const device = /^device=(.+)$/u.exec(text)?.[1]
  if (device !== undefined) return `device=${device}`
  throw new UsageError(`option --allow takes network.host, security.insecure, device or device=NAME, not "${text}"`)
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
