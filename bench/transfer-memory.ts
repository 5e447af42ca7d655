/**
 * node bench/transfer-memory.ts [-n 5] [--size BYTES]
 * The most memory that tsbuild takes to send one huge blob to a registry, and from one registry to another: medians of peak RSS and seconds.
 * The registry is one of this file in a process of its own, which keeps no blob; the blob is a file that takes no space on the disk.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ options: { runs: { type: 'string', short: 'n', default: '5' }, size: { type: 'string', default: String(5 * 1000 ** 3) }, serve: { type: 'string' } } })
const size = Number(values.size)
const zeros = Buffer.alloc(1024 * 1024)
const emptyConfig = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } }))

interface Described { readonly mediaType: string; readonly digest: string; readonly size: number }

if (values.serve === undefined) await measure()
else serve()

async function measure(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-bench-memory-'))
  const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: hashOfZeros(), size }
  const server = spawn(process.execPath, [import.meta.filename, '--serve', layer.digest, '--size', String(size)], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const [port] = await once(server.stdout, 'data') as [Buffer]
    writeLayout(join(folder, 'layout'), layer)
    const registry = `localhost:${port.toString().trim()}`
    const rows: Readonly<Record<string, (run: number) => readonly string[]>> = {
      send: (run) => [`oci:${join(folder, 'layout')}`, `docker://${registry}/sent${run}:x`],
      pass: (run) => [`docker://${registry}/sent${run}:x`, `docker://127.0.0.1:${port.toString().trim()}/passed${run}:x`],
    }
    for (const [name, operands] of Object.entries(rows)) {
      const measured = Array.from({ length: Number(values.runs) }, (_, run) => copy(folder, operands(run)))
      console.log(`${name.padEnd(8)} peak ${median(measured.map(({ peakMiB }) => peakMiB)).toFixed(0)} MiB   ${median(measured.map(({ seconds }) => seconds)).toFixed(2)}s`)
    }
  } finally {
    server.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

function copy(folder: string, operands: readonly string[]): { readonly peakMiB: number; readonly seconds: number } {
  const script = `import(${JSON.stringify(join(import.meta.dirname, '..', 'dist', 'cli.js'))}); process.on('exit', () => { require('node:fs').writeSync(2, 'peak ' + process.resourceUsage().maxRSS + '\\n') })`
  const env = { ...process.env, TSBUILD_ROOT: join(folder, 'root') }
  const started = process.hrtime.bigint()
  const { status, stderr } = spawnSync(process.execPath, ['-e', script, '--', 'tsbuild', 'copy', '-q', ...operands], { env, encoding: 'utf8' })
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  const peakKiB = /^peak (\d+)$/mu.exec(stderr)?.[1]
  if (status !== 0 || peakKiB === undefined) throw new Error(`tsbuild copy ${operands.join(' ')}: ${stderr}`)
  return { peakMiB: Number(peakKiB) / 1024, seconds }
}

function hashOfZeros(): string {
  const hash = createHash('sha256')
  for (let left = size; left > 0; left -= zeros.byteLength) hash.update(zeros.subarray(0, left))
  return `sha256:${hash.digest('hex')}`
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

function writeLayout(layout: string, layer: Described): void {
  const put = (bytes: Buffer, mediaType: string): Described => {
    const described = { mediaType, digest: digestOf(bytes), size: bytes.byteLength }
    writeFileSync(blobPath(layout, described), bytes)
    return described
  }
  mkdirSync(join(layout, 'blobs', 'sha256'), { recursive: true })
  writeFileSync(blobPath(layout, layer), '')
  truncateSync(blobPath(layout, layer), size)
  const config = put(emptyConfig, 'application/vnd.oci.image.config.v1+json')
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = put(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [layer] })), mediaType)
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  writeFileSync(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }))
}

function blobPath(layout: string, { digest }: Described): string {
  return join(layout, 'blobs', ...digest.split(':'))
}

/** Serves what it was sent, except that of the huge blob it only counts the bytes. */
function serve(): void {
  const small = new Map<string, Buffer>()
  const present = new Set<string>()
  const received = new Map<string, number>()
  let sessions = 0
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => { response.destroy(error instanceof Error ? error : undefined) })
  })
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://registry')
    const [, repository = '', kind = '', name = ''] = /^\/v2\/(.+)\/(blobs\/uploads|blobs|manifests)\/(.*)$/u.exec(pathname) ?? []
    const reply = (status: number, headers: Record<string, string | number> = {}): void => { response.writeHead(status, headers).end() }
    const key = `${repository} ${name}`
    if (request.method === 'POST') return reply(202, { location: `/v2/${repository}/blobs/uploads/${sessions += 1}` })
    if (request.method === 'PATCH' || request.method === 'PUT') {
      const body = await take(request, received, key)
      if (request.method === 'PATCH') return reply(202, { location: pathname, range: `0-${(received.get(key) ?? 0) - 1}` })
      const digest = searchParams.get('digest') ?? digestOf(body)
      if (digest !== values.serve) for (const alias of [name, digest]) small.set(`${repository} ${alias}`, body)
      present.add(`${repository} ${digest}`)
      return reply(201, { 'docker-content-digest': digest })
    }
    const bytes = small.get(key)
    const isHuge = kind === 'blobs' && name === values.serve && present.has(key)
    if (bytes === undefined && !isHuge) return reply(pathname === '/v2/' ? 200 : 404)
    const mediaType = kind === 'manifests' ? 'application/vnd.oci.image.manifest.v1+json' : 'application/octet-stream'
    response.writeHead(200, { 'content-length': bytes?.byteLength ?? size, 'content-type': mediaType })
    if (request.method === 'HEAD' || bytes !== undefined) response.end(request.method === 'HEAD' ? undefined : bytes)
    else await pour(response)
  }
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (address !== null && typeof address === 'object') console.log(address.port)
  })
}

/** The bytes of a small body; of a large one nothing. */
async function take(request: IncomingMessage, received: Map<string, number>, key: string): Promise<Buffer> {
  const kept: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) {
    const total = (received.get(key) ?? 0) + chunk.byteLength
    received.set(key, total)
    if (total < zeros.byteLength) kept.push(chunk)
  }
  return Buffer.concat(kept)
}

async function pour(response: ServerResponse): Promise<void> {
  for (let left = size; left > 0; left -= zeros.byteLength) {
    if (!response.write(zeros.subarray(0, left))) await once(response, 'drain')
  }
  response.end()
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? NaN
}
