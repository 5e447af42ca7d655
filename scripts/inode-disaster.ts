/**
 * npm run inode-disaster [-- --images 350 --layers 10 --files 20 --format overlay --json]
 * Hundreds of images with hundreds of small files use up the inodes of a filesystem while most of its bytes are free. Shows what tsbuild says
 * then, who holds the inodes, how long it takes to free half of them, and that builds go on. In a mount namespace of its own, on a loop device.
 * With --format erofs the same images do not use them up: shows what they take, and how long it takes to remove one and all the others.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createTask } from '../core/task.ts'
import { layerMediaType, mediaTypes } from '../oci/descriptor.ts'
import type { ChainId, DiffId } from '../oci/digest.ts'
import { diffIdAsDigest } from '../oci/digest.ts'
import { encodeImageConfig } from '../oci/image-config.ts'
import { encodeDocument } from '../oci/manifest.ts'
import type { ChangesetEntry, Layer, Store } from '../storage/index.ts'
import { openStore, packChangeset, StorageFull } from '../storage/index.ts'

const { values } = parseArgs({ options: {
  images: { type: 'string', default: '350' }, layers: { type: 'string', default: '10' }, files: { type: 'string', default: '20' },
  format: { type: 'string', default: 'overlay' }, json: { type: 'boolean', default: false }, inside: { type: 'string' },
} })
const format = values.format === 'erofs' ? 'erofs' : 'overlay'
const [images, layers, files] = [Number(values.images), Number(values.layers), Number(values.files)]
const task = createTask<never>()
const command = join(import.meta.dirname, '..', 'bin', 'tsbuild.cjs')

if (values.inside === undefined) enter()
else await (format === 'erofs' ? showIndexed : show)(values.inside)

/** Runs this file again where it may mount. */
function enter(): void {
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-inodes-'))
  try {
    const args = ['-m', '--propagation', 'private', process.execPath, import.meta.filename, ...process.argv.slice(2), '--inside', folder]
    process.exitCode = spawnSync('unshare', args, { stdio: 'inherit' }).status ?? 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function show(folder: string): Promise<void> {
  const disk = join(folder, 'disk')
  mountDisk(folder, disk)
  try {
    const root = join(disk, 'store')
    const filled = await measured(() => fill(root, Infinity))
    say(`${filled.result.images} images with ${filled.result.layers} layers until no inode was left (${seconds(filled.ms)}): ${filled.result.failure}`)
    const context = writeContext(folder)
    const seenComing = tsbuild(root, 'build', '-t', 'small:1', writeSmallContext(folder))
    for (let index = 0; statfsSync(disk).ffree > 0; index += 1) writeFileSync(join(disk, `rest-${index}`), '')
    const full = statfsSync(disk)
    const failed = tsbuild(root, 'build', '-q', '-t', 'late:1', context)
    const df = tsbuild(root, 'df')
    const predicted = tsbuild(root, 'gc', '--min-free-inodes', '50%', '--dry-run', '--json')
    const freed = tsbuild(root, 'gc', '--min-free-inodes', '50%', '--json')
    const after = statfsSync(disk)
    const built = tsbuild(root, 'build', '-q', '-t', 'late:1', context)
    const result = {
      filled: filled.result,
      freeBytesWhenFull: full.bavail * full.bsize / (full.blocks * full.bsize), freeInodesWhenFull: full.ffree,
      seenComing, failed, df, predicted: summarize(predicted.stdout), freed: summarize(freed.stdout), dfMs: df.ms, planMs: predicted.ms, gcMs: freed.ms,
      inodesOfTheFilesystem: after.ffree - full.ffree, freeInodesAfter: after.ffree / after.files, built: built.exitCode,
    }
    if (values.json) console.log(JSON.stringify(result))
    else report(result)
  } finally {
    execFileSync('umount', [disk])
  }
}

/** What the inodes are used for when layers are tars with an index. */
async function showIndexed(folder: string): Promise<void> {
  const disk = join(folder, 'disk')
  mountDisk(folder, disk)
  try {
    const root = join(disk, 'store')
    const made = await measured(() => fill(root, images))
    const inodesOfLayers = readdirSync(join(root, 'layers')).length
    const all = statfsSync(disk)
    const one = tsbuild(root, 'rmi', 'app:0')
    const rest = tsbuild(root, 'prune', '--all', '--json')
    const after = statfsSync(disk)
    const result = {
      layers: images * layers, inodesOfLayers, freeInodes: all.ffree / all.files, makingMs: made.ms, removingOneMs: one.ms, removingRestMs: rest.ms, freed: summarize(rest.stdout),
      inodesLeft: readdirSync(join(root, 'layers')).length, inodesOfTheFilesystem: after.ffree - all.ffree, exitCode: one.exitCode || rest.exitCode,
    }
    if (values.json) console.log(JSON.stringify(result))
    else say(`${result.layers} layers take ${inodesOfLayers} inodes (made in ${seconds(made.ms)}); one image of ${layers} layers was removed in ${seconds(one.ms)}, the others in ${seconds(rest.ms)}, which freed ${result.inodesOfTheFilesystem} inodes`)
  } finally {
    execFileSync('umount', [disk])
  }
}

function mountDisk(folder: string, disk: string): void {
  const image = join(folder, 'image')
  mkdirSync(disk)
  writeFileSync(image, '')
  truncateSync(image, 8 * 2 ** 30)
  // Files, their folder and the top of each layer, three documents of each image, and the store's own.
  const inodes = Math.floor(images * (layers * (files + 2) + 2) * 0.98) + 100
  execFileSync('mkfs.ext4', ['-q', '-F', '-N', String(inodes), '-E', 'lazy_itable_init=1,nodiscard', image])
  execFileSync('mount', ['-o', 'loop', image, disk])
}

async function fill(root: string, most: number): Promise<{ images: number; layers: number; failure: string }> {
  await using store = await openStore(root, { format })
  let count = 0
  while (count < most) {
    try {
      await makeImage(store, count)
      count += 1
    } catch (error) {
      if (!(error instanceof StorageFull)) throw error
      return { images: count, layers: count * layers, failure: error.message }
    }
  }
  return { images: count, layers: count * layers, failure: '' }
}

async function makeImage(store: Store, number: number): Promise<void> {
  const made: Layer[] = []
  let parent: ChainId | undefined
  for (let layer = 0; layer < layers; layer += 1) {
    const last = await store.layers.apply(parent, packChangeset(listEntries(`${number}-${layer}`), task), undefined, task)
    made.push(last)
    parent = last.chainId
  }
  await store.layers.sync(task)
  const diffIds: DiffId[] = made.map(({ diffId }) => diffId)
  const config = await store.content.write(encodeImageConfig({ os: 'linux', architecture: 'amd64', config: { Cmd: [`${number}`] }, rootfs: { type: 'layers', diff_ids: diffIds } }), mediaTypes.ociConfig)
  const descriptors = made.map(({ diffId, tarBytes }) => ({ mediaType: layerMediaType('none'), digest: diffIdAsDigest(diffId), size: tarBytes }))
  const manifest = await store.content.write(encodeDocument({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: descriptors }), mediaTypes.ociManifest)
  store.images.put(manifest, config.digest, [`docker.io/library/app:${number}`])
}

function* listEntries(name: string): Generator<ChangesetEntry, void, undefined> {
  const metadata = { mode: 0o755, uid: 0, gid: 0, mtimeNs: 0n }
  yield { ...metadata, type: 'directory', path: Buffer.from(name) }
  for (let file = 0; file < files; file += 1) {
    const bytes = Buffer.from(`${name} ${file}`)
    yield { ...metadata, mode: 0o644, type: 'file', path: Buffer.from(`${name}/${String(file).padStart(5, '0')}`), content: { kind: 'bytes', bytes } }
  }
}

/** More new files than a collected session leaves free. */
function writeContext(folder: string): string {
  const context = join(folder, 'context')
  mkdirSync(join(context, 'tree'), { recursive: true })
  for (let file = 0; file < 1000; file += 1) writeFileSync(join(context, 'tree', String(file)), 'x')
  writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCOPY tree /tree\n')
  return context
}

/** What still fits, with a warning. */
function writeSmallContext(folder: string): string {
  const context = join(folder, 'small')
  mkdirSync(context)
  writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCMD ["x"]\n')
  return context
}

interface Outcome { readonly exitCode: number | null; readonly stdout: string; readonly stderr: string; readonly ms: number }

function tsbuild(root: string, ...args: readonly string[]): Outcome {
  const env: NodeJS.ProcessEnv = { ...process.env, TSBUILD_ROOT: root, TSBUILD_LAYER_FORMAT: format }
  delete env['NODE_EXTRA_CA_CERTS']
  const started = process.hrtime.bigint()
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], { env, encoding: 'utf8' })
  const ms = Number(process.hrtime.bigint() - started) / 1e6
  if (!values.json) console.log(`\n$ tsbuild ${args.join(' ').replace(/\/\S+/u, 'CONTEXT')}     (${seconds(ms)}, exit code ${status ?? 'none'})\n${args.includes('--json') ? '' : `${stdout}${stderr}`.trimEnd()}`)
  return { exitCode: status, stdout, stderr, ms }
}

function summarize(json: string): unknown {
  const { removed, ...rest } = JSON.parse(json) as { removed: unknown[]; dryRun?: boolean }
  delete rest.dryRun
  return { ...rest, removed: removed.length }
}

function report(result: Readonly<Record<string, unknown>>): void {
  const { predicted, freed, inodesOfTheFilesystem, freeInodesAfter, built } = result
  console.log(`\npredicted ${JSON.stringify(predicted)}\nfreed     ${JSON.stringify(freed)}\nthe filesystem has ${String(inodesOfTheFilesystem)} more free inodes, ${(Number(freeInodesAfter) * 100).toFixed(1)}% of all; the next build ${built === 0 ? 'succeeds' : 'FAILS'}`)
}

async function measured<T>(work: () => Promise<T>): Promise<{ result: T; ms: number }> {
  const started = performance.now()
  return { result: await work(), ms: performance.now() - started }
}

function say(text: string): void {
  if (!values.json) console.log(text)
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)}s`
}
