/**
 * npm run bench:formats [-- -n 5 --only pull,build]
 * Docker, layers unpacked and layers as tar and EROFS image do the same work in turn in one run: medians of seconds, and how many times as
 * long the others take as EROFS. Needs root. TSBUILD_BENCH_REGISTRY names a registry without TLS with library/debian:pulled, which
 * `npm run bench -- --only pull` puts there; TSBUILD_BENCH_PEERS and TSBUILD_BENCH_SHARE are as in bench/main.ts.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Format } from './format-stores.ts'
import { formats, FormatStores, time } from './format-stores.ts'
import { writeContexts } from './scenarios.ts'

const { values } = parseArgs({ options: { runs: { type: 'string', short: 'n', default: '5' }, only: { type: 'string' }, inside: { type: 'string' } } })
const registry = process.env['TSBUILD_BENCH_REGISTRY'] ?? 'localhost:5000'
const image = `${registry}/library/debian:pulled`
const prefix = (process.env['TSBUILD_BENCH_PEERS'] ?? '').split(' ').filter((word) => word !== '')
const [share = join(tmpdir(), 'tsbuild-bench'), shareInside = share] = (process.env['TSBUILD_BENCH_SHARE'] ?? '').split(':').filter((part) => part !== '')

const floors = ['gzip -dc | sha256sum, all layers at once', 'the same by our engine, loaded'] as const

/** What is timed; a column that is missing is not measured. */
interface Row {
  readonly name: string
  readonly own: (format: Format) => number
  readonly docker?: () => number
}

if (values.inside === undefined) enter()
else measure(values.inside)

function enter(): void {
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-bench-formats-'))
  try {
    const args = ['-m', '--propagation', 'private', process.execPath, import.meta.filename, ...process.argv.slice(2), '--inside', folder]
    process.exitCode = spawnSync('unshare', args, { stdio: 'inherit' }).status ?? 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function measure(folder: string): void {
  mkdirSync(share, { recursive: true })
  writeContexts(share)
  const compiler = writeCompilerContext(join(folder, 'compiler'))
  using stores = new FormatStores({ folder, registry, prefix })
  const hasDocker = stores.hasDocker
  const rows = listRows(stores, compiler).filter(({ name }) => values.only === undefined || name === 'pull' || values.only.split(',').some((word) => name.includes(word)))
  const seconds = new Map<string, number[]>()
  const note = (row: string, column: string, value: number): void => { seconds.set(`${row} ${column}`, [...seconds.get(`${row} ${column}`) ?? [], value]) }
  for (let run = 0; run < Number(values.runs); run += 1) {
    stores.startRun()
    for (const { name, own, docker } of rows) {
      if (hasDocker && docker !== undefined) note(name, 'docker', docker())
      for (const format of formats) note(name, format, own(format))
    }
    for (const [floor, value] of Object.entries(measureFloors(stores))) note('pull', floor, value)
  }
  for (let run = 1; run <= stores.runs; run += 1) for (const format of formats) note('rmi', format, stores.tsbuild(format, ['rmi', image], run).seconds)
  if (hasDocker) note('rmi', 'docker', stores.docker('rmi', '-f', image).seconds)
  console.log(`${''.padEnd(26)} ${['docker', ...formats].map((column) => column.padStart(9)).join('')}      x as long as erofs`)
  for (const name of [...rows.map((row) => row.name), 'rmi']) console.log(describe(name, (column) => median(seconds.get(`${name} ${column}`) ?? [])))
  printFloors((name) => median(seconds.get(`pull ${name}`) ?? []) ?? NaN)
}

function printFloors(find: (name: string) => number): void {
  for (const floor of floors) {
    console.log(`${floor.padEnd(46)} ${find(floor).toFixed(3).padStart(7)}      a pull as erofs takes ${(find('erofs') / find(floor)).toFixed(2)} x as long`)
  }
}

/** Seconds, or numbers of inodes. */
function describe(name: string, find: (column: string) => number | undefined): string {
  const digits = name.startsWith('inodes') ? 0 : 3
  const [docker, overlay, erofs] = ['docker', ...formats].map(find)
  const ratio = (other: number | undefined): string => other === undefined || erofs === undefined ? '' : (other / erofs).toFixed(2).padStart(7)
  return `${name.padEnd(26)} ${[docker, overlay, erofs].map((value) => (value?.toFixed(digits) ?? '-').padStart(9)).join('')}   docker ${ratio(docker)}  overlay ${ratio(overlay)}`
}

function listRows(stores: FormatStores, compiler: string | undefined): Row[] {
  const before = new Map<Format | 'docker', number>()
  const inside = join(shareInside, 'copy10k')
  const build = (context: string, name: string): Row => ({
    name,
    own: (format) => stores.tsbuild(format, ['build', '-q', '--no-cache', '--network=none', '-t', `bench-${context}`, join(share, context)]).seconds,
    docker: () => {
      stores.docker('builder', 'prune', '-af')
      return stores.docker('build', '-q', '--no-cache', '--network=none', '-t', `bench-${context}`, join(dirname(inside), context)).seconds
    },
  })
  return [
    {
      name: 'pull',
      own: (format) => {
        before.set(format, stores.inodes(format))
        return stores.tsbuild(format, ['pull', '-q', image]).seconds
      },
      docker: () => {
        stores.docker('rmi', '-f', image)
        before.set('docker', stores.dockerInodes())
        return stores.docker('pull', '-q', image).seconds
      },
    },
    { name: 'inodes of a pull', own: (format) => stores.inodes(format) - (before.get(format) ?? 0), docker: () => stores.dockerInodes() - (before.get('docker') ?? 0) },
    build('copy10k', 'build: COPY 10,000 files'),
    { ...build('manyfiles', 'build: RUN 10,000 files'), own: (format) => {
      stores.tsbuild(format, ['pull', '-q', `${registry}/library/busybox`])
      stores.tsbuild(format, ['tag', `${registry}/library/busybox`, 'busybox'])
      return build('manyfiles', '').own(format)
    } },
    {
      name: 'run true',
      own: (format) => stores.tsbuild(format, ['run', '--rm', '--network', 'none', image, 'true']).seconds,
      docker: () => stores.docker('run', '--rm', '--network', 'none', image, 'true').seconds,
    },
    { name: 'df', own: (format) => stores.tsbuild(format, ['df']).seconds, docker: () => stores.docker('system', 'df').seconds },
    ...listReads(stores, compiler),
  ]
}

/** Work in a container, by the container's own clock; warm when it was done there before. */
function listReads(stores: FormatStores, compiler: string | undefined): Row[] {
  const works: Readonly<Record<string, string>> = {
    'read in sequence': 'tar cf - /usr | cat',
    'read at random': 'for f in /usr/bin/*; do dd if=$f bs=4k count=1 skip=3; done',
    stat: 'find / -xdev -printf %s',
    readdir: 'ls -fR /usr',
    'start 200 programs': 'i=0; while [ $i -lt 200 ]; do dpkg --version; i=$((i + 1)); done',
    ...(compiler === undefined ? {} : { compile: 'for i in 1 2 3 4 5; do /cc1 -quiet /source.c -o /dev/null; done' }),
  }
  const read = (format: Format, work: string, isWarm: boolean): number => {
    if (!isWarm) writeFileSync('/proc/sys/vm/drop_caches', '3')
    const script = `work() { ${work}; }; ${isWarm ? 'work > /dev/null 2>&1; ' : ''}s=$(date +%s%N); work > /dev/null 2>&1; e=$(date +%s%N); echo $((e - s))`
    const from = work.startsWith('for i') ? 'bench-compiler' : image
    if (from !== image) stores.tsbuild(format, ['build', '-q', '--network=none', '-t', from, compiler ?? ''])
    return Number(stores.tsbuild(format, ['run', '--rm', '--network', 'none', from, 'sh', '-c', script]).output.trim()) / 1e9
  }
  return Object.entries(works).flatMap(([name, work]) => [false, true].map((isWarm): Row => ({ name: `${name}, ${isWarm ? 'warm' : 'cold'}`, own: (format) => read(format, work, isWarm) })))
}

/** This machine's C compiler proper on the Debian image. @returns undefined where there is none */
function writeCompilerContext(context: string): string | undefined {
  const cc1 = spawnSync('cc', ['-print-prog-name=cc1'], { encoding: 'utf8' }).stdout.trim()
  if (!existsSync(cc1)) return undefined
  const libraries = spawnSync('ldd', [cc1], { encoding: 'utf8' }).stdout.split('\n').flatMap((line) => /=> (\/\S+)/u.exec(line)?.[1] ?? [])
  mkdirSync(join(context, 'lib'), { recursive: true })
  copyFileSync(cc1, join(context, 'cc1'))
  for (const library of libraries) copyFileSync(library, join(context, 'lib', basename(library)))
  writeFileSync(join(context, 'source.c'), Array.from({ length: 500 }, (_, index) => `int f${index}(int x) { return x * ${index} + (x >> ${index % 31}); }\n`).join(''))
  writeFileSync(join(context, 'Dockerfile'), `FROM ${image}\nCOPY cc1 source.c /\nCOPY lib /compiler\nENV LD_LIBRARY_PATH=/compiler\n`)
  return context
}

/** What undoing gzip and hashing alone takes: as anybody would do it, and as this project does once it is loaded. */
function measureFloors(stores: FormatStores): Record<typeof floors[number], number> {
  const folder = join(stores.root('erofs'), 'content', 'blobs', 'sha256')
  const blobs = readdirSync(folder).map((name) => join(folder, name)).filter((path) => statSync(path).size > 2 ** 20)
  return {
    'gzip -dc | sha256sum, all layers at once': time(['sh', '-c', 'for blob; do gzip -dc < "$blob" | sha256sum & done; wait', 'sh', ...blobs], process.env).seconds,
    'the same by our engine, loaded': Number(time([process.execPath, join(import.meta.dirname, 'inflate-floor.ts'), ...blobs], process.env).output),
  }
}

function median(numbers: readonly number[]): number | undefined {
  return [...numbers].sort((one, other) => one - other)[Math.floor(numbers.length / 2)]
}
