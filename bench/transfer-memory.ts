/**
 * node bench/transfer-memory.ts [-n 5] [--size BYTES]
 * The most memory that tsbuild takes to send one huge blob to a registry, and from one registry to another: medians of peak RSS and seconds.
 * The registry is one that keeps no blob; the blob is a file that takes no space on the disk. Needs `npm run build`.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ options: { runs: { type: 'string', short: 'n', default: '5' }, size: { type: 'string', default: String(5 * 1000 ** 3) } } })
const size = Number(values.size)
const zeros = Buffer.alloc(1024 * 1024)
const emptyConfig = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } }))

interface Described { readonly mediaType: string; readonly digest: string; readonly size: number }

const folder = mkdtempSync(join(tmpdir(), 'tsbuild-bench-memory-'))
const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: hashOfZeros(), size }
const server = spawn(process.execPath, [join(import.meta.dirname, 'hollow-registry.ts'), layer.digest, String(size)], { stdio: ['ignore', 'pipe', 'inherit'] })
try {
  const [announced] = await once(server.stdout, 'data') as [Buffer]
  const port = announced.toString().trim()
  writeLayout(join(folder, 'layout'), layer)
  const rows: Readonly<Record<string, (run: number) => readonly string[]>> = {
    send: (run) => [`oci:${join(folder, 'layout')}`, `docker://localhost:${port}/sent${run}:x`],
    // To another host as far as names go, so that nothing is mounted.
    pass: (run) => [`docker://localhost:${port}/sent${run}:x`, `docker://127.0.0.1:${port}/passed${run}:x`],
  }
  for (const [name, operands] of Object.entries(rows)) {
    const measured = Array.from({ length: Number(values.runs) }, (_, run) => copy(operands(run)))
    console.log(`${name.padEnd(8)} peak ${median(measured.map(({ peakMiB }) => peakMiB)).toFixed(0)} MiB   ${median(measured.map(({ seconds }) => seconds)).toFixed(2)}s`)
  }
} finally {
  server.kill()
  rmSync(folder, { recursive: true, force: true })
}

function copy(operands: readonly string[]): { readonly peakMiB: number; readonly seconds: number } {
  const script = `import(${JSON.stringify(join(import.meta.dirname, '..', 'dist', 'cli.cjs'))}); process.on('exit', () => { require('node:fs').writeSync(2, 'peak ' + process.resourceUsage().maxRSS + '\\n') })`
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

function median(numbers: readonly number[]): number {
  return [...numbers].sort((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? NaN
}
