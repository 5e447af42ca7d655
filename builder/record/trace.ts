import { randomBytes } from 'node:crypto'
import type { BuildFinished } from '../events.ts'
import type { BuildProgress, StepProgress } from './build-progress.ts'
import { toWireLabel } from './wire-event.ts'

interface TracedBuild {
  readonly title: string
  readonly startedAtMs: number
  readonly progress: BuildProgress
  readonly finished: BuildFinished
}

interface Exporter {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly timeoutMs: number
}

const defaultTimeoutMs = 10_000
const spanKinds = { internal: 1 } as const
const statusCodes = { ok: 1, error: 2 } as const

/**
 * Sends a build as one trace to the OTLP endpoint the standard environment variables name; without one nothing is done.
 * @returns why it could not be sent, which is no failure of the build
 * @see OpenTelemetry specification, "OTLP Exporter Configuration"; OTLP/HTTP with JSON
 */
export async function exportTrace(env: NodeJS.ProcessEnv, build: TracedBuild): Promise<string | undefined> {
  if (!isWanted(env)) return undefined
  const exporter = findExporter(env)
  if (typeof exporter === 'string') return exporter
  try {
    const answer = await fetch(exporter.url, {
      method: 'POST', headers: { ...exporter.headers, 'content-type': 'application/json' }, body: JSON.stringify(traceOf(env, build)),
      signal: AbortSignal.timeout(exporter.timeoutMs), redirect: 'error',
    })
    await answer.body?.cancel()
    return answer.ok ? undefined : `cannot send the trace to "${shownUrl(exporter.url)}": it answered ${answer.status}`
  } catch (error) {
    return `cannot send the trace to "${shownUrl(exporter.url)}": ${reasonOf(error)}`
  }
}

function isWanted(env: NodeJS.ProcessEnv): boolean {
  if ((env['OTEL_SDK_DISABLED'] ?? '').toLowerCase() === 'true' || env['OTEL_TRACES_EXPORTER'] === 'none') return false
  return [env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'], env['OTEL_EXPORTER_OTLP_ENDPOINT']].some((value) => value !== undefined && value !== '')
}

function findExporter(env: NodeJS.ProcessEnv): Exporter | string {
  const setting = (name: string): string | undefined => env[`OTEL_EXPORTER_OTLP_TRACES_${name}`] || env[`OTEL_EXPORTER_OTLP_${name}`] || undefined
  const kind = env['OTEL_TRACES_EXPORTER'] || 'otlp'
  if (kind !== 'otlp') return `cannot export the trace by OTEL_TRACES_EXPORTER="${kind}": want otlp or none`
  const protocol = setting('PROTOCOL') ?? 'http/json'
  if (!protocol.startsWith('http/')) return `cannot export the trace by the protocol "${protocol}": want http/json; collectors take it on port 4318`
  const own = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']
  const url = own || `${(env['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? '').replace(/\/+$/u, '')}/v1/traces`
  if (!URL.canParse(url) || !/^https?:/u.test(url)) return `cannot export the trace to "${url}": want an http or https URL`
  return { url, headers: Object.fromEntries(pairs(setting('HEADERS'))), timeoutMs: Number(setting('TIMEOUT') ?? defaultTimeoutMs) || defaultTimeoutMs }
}

/** `a=b,c=d`, values percent-encoded, as the specification takes it from W3C Baggage. */
function pairs(text: string | undefined): [string, string][] {
  return (text ?? '').split(',').flatMap((pair): [string, string][] => {
    const equals = pair.indexOf('=')
    return equals < 1 ? [] : [[pair.slice(0, equals).trim(), decode(pair.slice(equals + 1).trim())]]
  })
}

function decode(text: string): string {
  return /%(?![0-9a-f]{2})/iu.test(text) ? text : decodeURIComponent(text)
}

function shownUrl(url: string): string {
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error && error.cause.message !== '' ? error.cause.message : error.message
}

/** TRACEPARENT makes the build a part of the trace it was started in. @see W3C Trace Context */
function traceOf(env: NodeJS.ProcessEnv, { title, startedAtMs, progress, finished }: TracedBuild): unknown {
  const [, givenTrace, givenSpan] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/u.exec(env['TRACEPARENT'] ?? '') ?? []
  const traceId = givenTrace ?? randomBytes(16).toString('hex')
  const rootId = randomBytes(8).toString('hex')
  const root = {
    traceId, spanId: rootId, ...(givenSpan === undefined ? {} : { parentSpanId: givenSpan }), name: `build ${title}`, kind: spanKinds.internal,
    ...times(startedAtMs, finished.atMs), status: finished.outcome === 'succeeded' ? { code: statusCodes.ok } : { code: statusCodes.error, message: finished.error?.message ?? finished.outcome },
    attributes: attributes({ 'tsbuild.build.id': finished.build, 'tsbuild.build.outcome': finished.outcome, 'tsbuild.image.id': finished.image?.id, 'tsbuild.image.name': finished.image?.names[0] }),
  }
  const steps = progress.steps.flatMap((step) => step.startedAtMs === undefined ? [] : [stepSpan(step, { traceId, parentSpanId: rootId, startedAtMs: step.startedAtMs, endedAtMs: step.endedAtMs ?? finished.atMs })])
  return {
    resourceSpans: [{
      resource: { attributes: attributes({ ...Object.fromEntries(pairs(env['OTEL_RESOURCE_ATTRIBUTES'])), ...serviceName(env) }) },
      scopeSpans: [{ scope: { name: 'tsbuild' }, spans: [root, ...steps] }],
    }],
  }
}

function serviceName(env: NodeJS.ProcessEnv): { 'service.name'?: string } {
  const isGiven = pairs(env['OTEL_RESOURCE_ATTRIBUTES']).some(([name]) => name === 'service.name')
  return env['OTEL_SERVICE_NAME'] ? { 'service.name': env['OTEL_SERVICE_NAME'] } : isGiven ? {} : { 'service.name': 'tsbuild' }
}

interface SpanParts { readonly traceId: string; readonly parentSpanId: string; readonly startedAtMs: number; readonly endedAtMs: number }

function stepSpan({ label, node, state, usage }: StepProgress, { traceId, parentSpanId, startedAtMs, endedAtMs }: SpanParts): unknown {
  const { stage, step, steps, source, place } = toWireLabel(label)
  return {
    traceId, parentSpanId, spanId: randomBytes(8).toString('hex'), name: `[${stage} ${step}/${steps}] ${source}`, kind: spanKinds.internal, ...times(startedAtMs, endedAtMs),
    status: state === 'failed' ? { code: statusCodes.error } : { code: statusCodes.ok },
    attributes: attributes({
      'tsbuild.step.id': node, 'tsbuild.step.outcome': state, 'tsbuild.stage': stage, 'code.file.path': place.file, 'code.line.number': place.startLine,
      'tsbuild.usage.cpu_ms': usage?.cpuMs, 'tsbuild.usage.memory_peak_bytes': usage?.memoryPeakBytes, 'tsbuild.usage.pids_peak': usage?.pidsPeak,
    }),
  }
}

function times(startedAtMs: number, endedAtMs: number): { startTimeUnixNano: string; endTimeUnixNano: string } {
  return { startTimeUnixNano: `${Math.round(startedAtMs)}000000`, endTimeUnixNano: `${Math.round(endedAtMs)}000000` }
}

function attributes(values: Readonly<Record<string, string | number | undefined>>): unknown[] {
  return Object.entries(values).flatMap(([key, value]): unknown[] => {
    if (value === undefined) return []
    if (typeof value === 'string') return [{ key, value: { stringValue: value } }]
    return [{ key, value: Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value } }]
  })
}
