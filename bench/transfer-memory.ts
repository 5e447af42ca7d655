/**
 * node bench/transfer-memory.ts [-n 5] [--size BYTES] [--only send,pass,pull,inflate]
 * The most memory that tsbuild takes to send one huge blob to a registry, to pass it from one registry to another, to pull it into its store as a
 * layer, and to pull a small layer that inflates to that size: medians of peak RSS and seconds. The registry
 * is one that keeps no blob; what is sent is a file that takes no space on the disk, what is pulled does. Needs `npm run build`.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'

const { values } = parseArgs({ options: { only: { type: 'string' }, runs: { type: 'string', short: 'n', default: '5' }, size: { type: 'string', default: String(5 * 1000 ** 3) } } })
const size = Number(values.size)
const zeros = Buffer.alloc(1024 * 1024)

interface Described { readonly mediaType: string; readonly digest: string; readonly size: number }

const folder = mkdtempSync(join(tmpdir(), 'tsbuild-bench-memory-'))
const reporter = join(folder, 'report-peak.cjs')
writeFileSync(reporter, "process.on('exit', () => { require('node:fs').writeSync(2, `peak ${process.resourceUsage().maxRSS}\\n`) })")
const hash = hashOfZeros()
// A tar of zeros has nothing in it, however long it is.
const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: hash, size }
const server = spawn(process.execPath, [join(import.meta.dirname, 'hollow-registry.ts'), layer.digest, String(size)], { stdio: ['ignore', 'pipe', 'inherit'] })
try {
  const [announced] = await once(server.stdout, 'data') as [Buffer]
  const port = announced.toString().trim()
  writeLayout(join(folder, 'layout'), layer, () => { truncateSync(blobPath(join(folder, 'layout'), layer), size) })
  const packed = pack()
  writeLayout(join(folder, 'packed'), describe(packed, 'application/vnd.oci.image.layer.v1.tar+gzip'), (path) => { writeFileSync(path, packed) })
  const rows: Readonly<Record<string, (run: number) => readonly string[]>> = {
    send: (run) => ['copy', '-q', `oci:${join(folder, 'layout')}`, `docker://localhost:${port}/sent${run}:x`],
    // To another host as far as names go, so that nothing is mounted.
    pass: (run) => ['copy', '-q', `docker://localhost:${port}/sent${run}:x`, `docker://127.0.0.1:${port}/passed${run}:x`],
    pull: () => ['pull', '-q', `localhost:${port}/sent:x`],
    inflate: () => ['pull', '-q', `localhost:${port}/packed:x`],
  }
  call(['copy', '-q', `oci:${join(folder, 'layout')}`, `docker://localhost:${port}/sent:x`])
  call(['copy', '-q', `oci:${join(folder, 'packed')}`, `docker://localhost:${port}/packed:x`])
  const only = values.only?.split(',')
  for (const [name, operands] of Object.entries(rows).filter(([each]) => only?.includes(each) !== false)) {
    const measured = Array.from({ length: Number(values.runs) }, (_, run) => call(operands(run)))
    console.log(`${name.padEnd(8)} peak ${median(measured.map(({ peakMiB }) => peakMiB)).toFixed(0)} MiB   ${median(measured.map(({ seconds }) => seconds)).toFixed(2)}s`)
  }
} finally {
  server.kill()
  rmSync(folder, { recursive: true, force: true })
}

/** With a store of its own, so that nothing is there. */
function call(operands: readonly string[]): { readonly peakMiB: number; readonly seconds: number } {
  const root = join(folder, 'root')
  const started = process.hrtime.bigint()
  const { status, stderr } = spawnSync(process.execPath, ['-r', reporter, join(import.meta.dirname, '..', 'bin', 'tsbuild.cjs'), ...operands], { env: { ...process.env, TSBUILD_ROOT: root }, encoding: 'utf8' })
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  rmSync(root, { recursive: true, force: true })
  const peakKiB = /^peak (\d+)$/mu.exec(stderr)?.[1]
  if (status !== 0 || peakKiB === undefined) throw new Error(`tsbuild ${operands.join(' ')}: ${stderr}`)
  return { peakMiB: Number(peakKiB) / 1024, seconds }
}

/** As many zeros, as members of 16 MiB and one of what is left. */
function pack(): Buffer {
  const memberBytes = 16 * zeros.byteLength
  const member = gzipSync(Buffer.alloc(memberBytes))
  return Buffer.concat([...Array.from({ length: Math.floor(size / memberBytes) }, () => member), gzipSync(Buffer.alloc(size % memberBytes))])
}

function hashOfZeros(): string {
  const hash = createHash('sha256')
  for (let left = size; left > 0; left -= zeros.byteLength) hash.update(zeros.subarray(0, left))
  return `sha256:${hash.digest('hex')}`
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

function describe(bytes: Buffer, mediaType: string): Described {
  return { mediaType, digest: digestOf(bytes), size: bytes.byteLength }
}

/** An image with one layer, which `fill` writes. */
function writeLayout(layout: string, layer: Described, fill: (path: string) => void): void {
  const put = (bytes: Buffer, mediaType: string): Described => {
    const described = describe(bytes, mediaType)
    writeFileSync(blobPath(layout, described), bytes)
    return described
  }
  mkdirSync(join(layout, 'blobs', 'sha256'), { recursive: true })
  writeFileSync(blobPath(layout, layer), '')
  fill(blobPath(layout, layer))
  const { platform, arch } = process
  const config = put(Buffer.from(JSON.stringify({ architecture: arch === 'x64' ? 'amd64' : arch, os: platform, rootfs: { type: 'layers', diff_ids: [hash] } })), 'application/vnd.oci.image.config.v1+json')
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
