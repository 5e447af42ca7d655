/**
 * npm run bench:storage [-- --only apply,diff -n 5 --tar FILE --inodes 1000000 --huge 10000000000]
 * The store's own work beside what it costs at least, in turn on a fresh ext4: medians of seconds (and of seconds of processor time), their
 * ratio, and what is asked. Trees are set aside and not deleted, because ext4 steps over inodes deleted lately. On a loop device, in a mount
 * namespace of its own. TAR is a layer to apply; without it one of 7,000 files and 120 MB is made.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildSync } from 'esbuild'
import { helperPath } from '../native/index.ts'
import type { StorageWork, Timed } from './storage-work.ts'

const { values } = parseArgs({ options: {
  only: { type: 'string' }, runs: { type: 'string', short: 'n', default: '5' }, tar: { type: 'string' }, inodes: { type: 'string', default: '1000000' },
  huge: { type: 'string', default: String(10 * 1000 ** 3) }, inside: { type: 'string' },
} })
const runs = Number(values.runs)
let program = ''
let count = 0

if (values.inside === undefined) enter()
else {
  bundleWork(values.inside)
  measureAll(values.inside)
}

function enter(): void {
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-bench-storage-'))
  try {
    const args = ['-m', '--propagation', 'private', process.execPath, import.meta.filename, ...process.argv.slice(2), '--inside', folder]
    process.exitCode = spawnSync('unshare', args, { stdio: 'inherit' }).status ?? 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function measureAll(folder: string): void {
  const rows: Readonly<Record<string, (folder: string, disk: string) => void>> = { apply, diff, plan, free, memory }
  for (const [name, row] of Object.entries(rows)) {
    if (values.only !== undefined && !values.only.split(',').includes(name)) continue
    const disk = mountDisk(folder)
    try {
      row(folder, disk)
    } finally {
      execFileSync('umount', [disk])
      rmSync(join(folder, 'image'))
    }
  }
}

/** Applying a layer, by its tar's own way and with the tar kept beside it, and extracting it. */
function apply(folder: string, disk: string): void {
  const tar = values.tar ?? makeTar(folder)
  const floor = (): Timed => time('tar', '-xpf', tar, '-C', fresh(disk))
  compare('apply', { own: () => work('apply', fresh(disk), tar), floor, asked: '<= 1.3' })
  compare('apply and keep tar', { own: () => work('apply-foreign', fresh(disk), tar), floor, asked: 'none: also writes the tar' })
}

/** A layer of what a step wrote, and the digest of a tar of the same files. */
function diff(_: string, disk: string): void {
  const upper = fresh(disk)
  for (let index = 0; index < 10_000; index += 1) {
    const path = join(upper, `d${Math.floor(index / 100)}`)
    mkdirSync(path, { recursive: true })
    writeFileSync(join(path, `f${index}`), Buffer.alloc(4096, `${index} `))
  }
  compare('diff and hash', {
    own: () => work('commit', fresh(disk), upper),
    floor: () => time('sh', '-c', `tar -C ${upper} -c . | openssl dgst -sha256`),
    asked: '<= 1.3',
  })
}

/** With 350 images of 10 layers. */
function plan(_: string, disk: string): void {
  const root = fresh(disk)
  work('fill', root, '3500')
  for (const name of ['df', 'plan'] as const) say(name, `${median(repeat(() => work(name, root, '')).map(({ seconds }) => seconds * 1000)).toFixed(1)} ms at 3,500 layers`, '<= 100 ms')
}

/** Of the same disk again and again, since making a million files takes longer than deleting them; no inode is in memory when it begins. */
function free(folder: string, disk: string): void {
  const root = fresh(disk)
  work('fill-inodes', root, values.inodes)
  const [image, full] = [join(folder, 'image'), join(folder, 'full-image')]
  execFileSync('umount', [disk])
  execFileSync('cp', ['--sparse=always', image, full])
  const onFullDisk = (act: () => Timed): Timed => {
    if (spawnSync('mountpoint', ['-q', disk]).status === 0) execFileSync('umount', [disk])
    execFileSync('cp', ['--sparse=always', full, image])
    execFileSync('sync', ['-f', image])
    execFileSync('mount', ['-o', 'loop', image, disk])
    dropCaches()
    return act()
  }
  compare(`free ${values.inodes} inodes`, {
    own: () => onFullDisk(() => work('collect', root, '')),
    floor: () => onFullDisk(() => time('rm', '-rf', join(root, 'layers'))),
    asked: '<= 1.2',
  })
  rmSync(full)
}

function memory(_: string, disk: string): void {
  const { seconds, peakMiB } = work('huge', fresh(disk), values.huge)
  say(`apply ${(Number(values.huge) / 1e9).toFixed(0)} GB`, `peak ${peakMiB.toFixed(0)} MiB, ${seconds.toFixed(1)}s`, '<= 150 MiB')
}

/** As the package is: reading the sources takes memory and time of its own. */
function bundleWork(folder: string): void {
  program = join(folder, 'programs', 'storage-work.mjs')
  buildSync({ entryPoints: [join(import.meta.dirname, 'storage-work.ts')], outfile: program, bundle: true, format: 'esm', platform: 'node', target: 'node24', logLevel: 'error' })
  symlinkSync(dirname(helperPath), join(dirname(program), 'build'))
}

/** In a process of its own, which says how long the work itself took. */
function work(name: StorageWork, root: string, operand: string): Timed {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, name, root, operand], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${name}: ${stderr}`)
  return JSON.parse(stdout) as Timed
}

function time(file: string, ...args: readonly string[]): Timed {
  const started = process.hrtime.bigint()
  const { status, stderr } = spawnSync('sh', ['-c', '"$@" > /dev/null; status=$?; times >&2; exit $status', 'sh', file, ...args], { encoding: 'utf8' })
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  if (status !== 0) throw new Error(`${file}: ${stderr}`)
  const [user = 0, system = 0] = (stderr.trim().split('\n').at(-1) ?? '').split(' ').map((text) => Number(/^(\d+)m/u.exec(text)?.[1] ?? 0) * 60 + Number(/m([\d.]+)s/u.exec(text)?.[1] ?? 0))
  return { seconds, processor: user + system, peakMiB: 0 }
}

interface Comparison { readonly own: () => Timed; readonly floor: () => Timed; readonly asked: string }

function compare(name: string, { own, floor, asked }: Comparison): void {
  const pairs = repeat(() => [own(), floor()] as const)
  say(name, describe(pairs.map(([one]) => one), pairs.map(([, other]) => other)), asked)
}

function describe(own: readonly Timed[], floor: readonly Timed[]): string {
  const show = (of: readonly Timed[]): string => `${median(of.map(({ seconds }) => seconds)).toFixed(3)}s (cpu ${median(of.map(({ processor }) => processor)).toFixed(2)}s)`
  const ratio = (of: 'seconds' | 'processor'): string => median(own.map((each, index) => each[of] / (floor[index]?.[of] ?? NaN))).toFixed(2)
  return `tsbuild ${show(own)}   floor ${show(floor)}   ${ratio('seconds')}x   cpu ${ratio('processor')}x`
}

function repeat<Result>(act: () => Result): Result[] {
  return Array.from({ length: runs }, act)
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? NaN
}

function say(name: string, text: string, asked: string): void {
  console.log(`${name.padEnd(22)} ${text}   (asked: ${asked})`)
}

function fresh(disk: string): string {
  count += 1
  const path = join(disk, String(count))
  mkdirSync(path)
  return path
}

function dropCaches(): void {
  writeFileSync('/proc/sys/vm/drop_caches', '3')
}

function mountDisk(folder: string): string {
  const [image, disk] = [join(folder, 'image'), join(folder, 'disk')]
  mkdirSync(disk, { recursive: true })
  writeFileSync(image, '')
  truncateSync(image, 24 * 2 ** 30)
  execFileSync('mkfs.ext4', ['-q', '-F', '-N', String(Math.max(2_000_000, 3 * Number(values.inodes))), '-E', 'lazy_itable_init=1,nodiscard', image])
  execFileSync('mount', ['-o', 'loop', image, disk])
  return disk
}

function makeTar(folder: string): string {
  const [tree, tar] = [join(folder, 'tree'), join(folder, 'layer.tar')]
  if (existsSync(tar)) return tar
  for (let index = 0; index < 7000; index += 1) {
    const path = join(tree, `d${Math.floor(index / 50)}`)
    mkdirSync(path, { recursive: true })
    writeFileSync(join(path, `f${index}`), Buffer.alloc(index % 70 === 0 ? 700_000 : 7000 + index, `${index} `))
  }
  execFileSync('tar', ['-C', tree, '-cf', tar, '.'])
  rmSync(tree, { recursive: true })
  return tar
}
