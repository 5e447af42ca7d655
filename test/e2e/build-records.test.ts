import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { spawn } from 'node:child_process'
import { importBusybox, useCommand } from '../support/command.ts'
import { schemaProblems } from '../support/event-schema.ts'

const command = useCommand('records')
const { context, must, run } = command
beforeAll(() => { importBusybox(command) })

interface Listed { readonly id: string; readonly outcome: string; readonly title: string; readonly error?: string; readonly steps: { readonly total: number; readonly cached: number } }
const builds = (): Listed[] => JSON.parse(must('history', 'builds', '--json')) as Listed[]

describe('the records of builds', () => {
  it('are listed newest first, with how each ended', () => {
    const path = context('listed', { Dockerfile: 'FROM busybox\nRUN echo "to the log"; echo x > /x\n' })
    must('build', '-t', 'listed:1', path)
    must('build', '-t', 'listed:1', path)
    writeFileSync(join(path, 'Dockerfile'), 'FROM busybox\nRUN echo "why it failed" >&2; exit 7\n')
    expect(run('build', path).exitCode).toBe(7)
    expect(builds().slice(0, 3)).toMatchObject([
      { outcome: 'failed', title: path, error: expect.stringContaining('exit 7') as string },
      { outcome: 'succeeded', title: 'listed:1', steps: { total: 2, cached: 2 } },
      { outcome: 'succeeded', steps: { total: 2, cached: 1 } },
    ])
    expect(must('history', 'builds').split('\n')[1]).toMatch(/^[0-9a-f]{12} .* failed /u)
  })

  it('show the steps, and the log whole or of one step', () => {
    expect(must('history', 'show', 'latest')).toMatch(/✖ 2\/2 RUN echo "why it failed"/u)
    expect(must('history', 'logs', 'latest')).toMatch(/^#2 \d+\.\d\ds why it failed$/mu)
    expect(must('history', 'logs', builds()[0]?.id.slice(0, 6) ?? '', '2')).toBe('why it failed')
    expect(run('history', 'logs', 'latest', '9')).toMatchObject({ exitCode: 2 })
    expect(must('history', 'logs')).toBe(must('history', 'logs', 'latest'))
    expect(must('buildx', 'history', 'inspect')).toBe(must('history', 'show', 'latest'))
    expect(must('history', 'ls', '-q').split('\n')).toEqual(builds().map(({ id }) => id))
    expect(must('history', 'builds', '--format', '{{.Outcome}} {{.Steps}}').split('\n')[0]).toBe('failed 2')
    expect(must('history', '--format', '{{.ID}} {{.CreatedBy}}', 'listed:1').split('\n')).toEqual([`${must('images', '-q', 'listed')} RUN /bin/sh -c echo "to the log"; echo x > /x`, expect.stringContaining('<missing>') as string])
    expect(run('history', 'builds', 'latest').exitCode).toBe(2)
    expect(run('history', 'show', 'ffffffffffff')).toMatchObject({ exitCode: 3 })
  })

  it('keep every line, however many', () => {
    must('build', context('long', { Dockerfile: 'FROM busybox\nRUN seq 1 50000\n' }))
    expect(must('history', 'logs', 'latest', '2').split('\n')).toEqual(Array.from({ length: 50_000 }, (_, index) => String(index + 1)))
  })

  it('are events that the published schema allows, and nobody else may read them', () => {
    const folder = join(command.root, 'builds')
    for (const name of readdirSync(folder)) {
      const lines = readFileSync(join(folder, name, 'events.jsonl'), 'utf8').trimEnd().split('\n')
      expect(lines.flatMap((line) => schemaProblems(JSON.parse(line)))).toEqual([])
      expect(statSync(join(folder, name)).mode & 0o777).toBe(0o700)
    }
  })

  it('let a build be run again as it was asked for, with the files of now', () => {
    const path = context('again', { Dockerfile: 'FROM busybox\nARG WHO\nRUN echo "$WHO" > /who\n' })
    must('buildx', 'build', '-t', 'again:1', '--build-arg', 'WHO=one two', path)
    const [first] = builds()
    must('rmi', 'again:1')
    must('history', 'rerun', first?.id ?? '')
    expect(must('run', '--network', 'none', 'again:1', 'cat', '/who')).toBe('one two')
    expect(builds()[0]).toMatchObject({ title: 'again:1', steps: { cached: 2 } })
  })

  it('are not made of what cannot begin', () => {
    const before = builds().length
    const path = context('unnamed', { Dockerfile: 'FROM busybox\nRUN touch /ran\n' })
    const wrong = [['-t', 'UPPER'], ['-t', 'right', '-t', 'wrong name'], ['-t', 'UPPER', '--verify-reproducible'], ['-o', 'type=oci,name=UPPER,dest=x.tar'], ['-o', 'type=tar,dest=/nowhere/x'], ['--push'], ['--sbom']]
    expect(wrong.map((args) => run('build', ...args, path)).map(({ exitCode, stdout }) => ({ exitCode, stdout }))).toEqual(wrong.map(() => ({ exitCode: 1, stdout: '' })))
    expect(builds()).toHaveLength(before)
  })

  it('say of a build whose process was killed that it is lost', async () => {
    const child = command.start('build', '--progress', 'plain', context('killed', { Dockerfile: 'FROM busybox\nRUN echo begun; sleep 600\n' }))
    let said = ''
    for await (const chunk of child.stderr ?? []) {
      said += String(chunk)
      if (said.includes('s begun')) break
    }
    expect(builds()[0]).toMatchObject({ outcome: 'running' })
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(builds()[0]).toMatchObject({ outcome: 'lost' })
    expect(must('history', 'show', 'latest')).toContain(': lost')
  })

  it('cost a build nothing when they cannot be written', () => {
    rmSync(join(command.root, 'builds'), { recursive: true })
    writeFileSync(join(command.root, 'builds'), 'in the way')
    const { exitCode, stderr } = run('build', '--progress', 'plain', join(command.folder, 'again'))
    expect(exitCode).toBe(0)
    expect(stderr).toContain('RecordNotKept')
    chmodSync(join(command.root, 'builds'), 0o600)
    rmSync(join(command.root, 'builds'))
  })
})

describe('the trace of a build', () => {
  const received: { readonly url: string | undefined; readonly headers: NodeJS.Dict<string | string[]>; readonly body: unknown }[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
      received.push({ url: request.url, headers: request.headers, body: JSON.parse(Buffer.concat(chunks).toString()) })
      response.writeHead(200).end('{}')
    })
  })
  beforeAll(async () => { await once(server.listen(0, '127.0.0.1'), 'listening') })
  afterAll(() => { server.close() })

  async function buildTraced(env: NodeJS.ProcessEnv, path: string): Promise<{ readonly exitCode: number | null; readonly stderr: string }> {
    const child = spawn(process.execPath, [join(import.meta.dirname, '../../bin/tsbuild.cjs'), 'build', '--no-cache', '--progress', 'plain', path], { env: { ...process.env, TSBUILD_ROOT: command.root, NODE_EXTRA_CA_CERTS: '', ...env } })
    let stderr = ''
    child.stderr.on('data', (chunk) => { stderr += String(chunk) })
    const [exitCode] = await once(child, 'close') as [number | null]
    return { exitCode, stderr }
  }
  const endpoint = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  it('goes to the endpoint the environment names, a span for each step, as part of the caller\'s trace', async () => {
    const path = context('traced', { Dockerfile: 'FROM busybox AS base\nRUN sleep 0.2\n' })
    const trace = 'a'.repeat(32)
    const { exitCode } = await buildTraced({ OTEL_EXPORTER_OTLP_ENDPOINT: `${endpoint()}/`, OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%20b', OTEL_SERVICE_NAME: 'ci', TRACEPARENT: `00-${trace}-${'b'.repeat(16)}-01` }, path)
    expect(exitCode).toBe(0)
    expect(received).toHaveLength(1)
    const [{ url, headers, body } = { url: '', headers: {}, body: {} }] = received
    expect(url).toBe('/v1/traces')
    expect(headers).toMatchObject({ 'x-key': 'a b', 'content-type': 'application/json' })
    const { resourceSpans: [{ resource, scopeSpans: [{ spans }] }] } = body as { resourceSpans: [{ resource: unknown; scopeSpans: [{ spans: { traceId: string; spanId: string; parentSpanId: string; name: string; startTimeUnixNano: string; endTimeUnixNano: string }[] }] }] }
    expect(resource).toEqual({ attributes: [{ key: 'service.name', value: { stringValue: 'ci' } }] })
    expect(spans.map(({ name }) => name)).toEqual([`build ${path}`, '[base 1/2] FROM busybox AS base', '[base 2/2] RUN sleep 0.2'])
    expect(spans.map(({ traceId }) => traceId)).toEqual([trace, trace, trace])
    expect(spans.map(({ parentSpanId }) => parentSpanId)).toEqual(['b'.repeat(16), spans[0]?.spanId, spans[0]?.spanId])
    expect(BigInt(spans[2]?.endTimeUnixNano ?? 0) - BigInt(spans[2]?.startTimeUnixNano ?? 0)).toBeGreaterThanOrEqual(200_000_000n)
  })

  it('is a warning when it cannot be sent, and nothing without an endpoint', async () => {
    const path = join(command.folder, 'traced')
    expect(await buildTraced({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' }, path)).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('TraceNotExported') as string })
    expect((await buildTraced({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint(), OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, path)).stderr).toContain('want http/json')
    expect((await buildTraced({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint(), OTEL_TRACES_EXPORTER: 'none' }, path)).stderr).not.toContain('Trace')
    expect(received).toHaveLength(1)
  })
})
