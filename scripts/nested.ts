/**
 * npm run test:nested
 * Builds inside `docker run` and `podman run` with their default confinement, where no namespace can be made: with --isolation chroot, and
 * without it, when a probe has to find that out. TSBUILD_BENCH_PEERS, TSBUILD_BENCH_SHARE and TSBUILD_BENCH_REGISTRY are those of `npm run bench`;
 * the registry has library/debian.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'

const prefix = (process.env['TSBUILD_BENCH_PEERS'] ?? '').split(' ').filter((word) => word !== '')
const [share = tmpdir(), shareInside = share] = (process.env['TSBUILD_BENCH_SHARE'] ?? '').split(':').filter((part) => part !== '')
const image = `${process.env['TSBUILD_BENCH_REGISTRY'] ?? 'localhost:5000'}/library/debian:bookworm`
const warning = 'containers are isolated by chroot only: processes, network, host names and System V objects are those around it; there is no /proc or /sys, no limit but time, and no filter of system calls'
const failures: string[] = []

/** The program as it is installed, with a context whose RUN shows where it runs. */
function prepare(folder: string): void {
  const root = join(import.meta.dirname, '..')
  for (const name of ['bin', 'dist', 'package.json', 'native/build']) cpSync(join(root, name), join(folder, name), { recursive: true, dereference: true })
  copyFileSync(process.execPath, join(folder, 'node'))
  chmodSync(folder, 0o755)
  mkdirSync(join(folder, 'context'))
  const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path))
  if (busybox === undefined) throw new Error('this needs a static busybox: apt-get install busybox-static')
  copyFileSync(busybox, join(folder, 'context/busybox'))
  const steps = 'FROM scratch\nCOPY busybox /bin/sh\nCOPY busybox /bin/busybox\nRUN echo made > /made && /bin/busybox id -u > /dev/null\n'
  writeFileSync(join(folder, 'context/Dockerfile'), `${steps}RUN read text < /made; echo "found $text"\n`)
  writeFileSync(join(folder, 'context/deleting'), `${steps}RUN /bin/busybox rm /bin/busybox\nRUN test ! -e /bin/busybox && echo "deleted it"\n`)
}

interface Expected { readonly exitCode: number; readonly output: readonly string[] }

function check(engine: string, { folder, options, volumes = [] }: { readonly folder: string; readonly options: readonly string[]; readonly volumes?: readonly string[] }, expected: Expected): void {
  const inside = join(shareInside, basename(folder))
  const build = ['/tsbuild/node', '/tsbuild/bin/tsbuild.cjs', 'build', '--progress', 'plain', ...options, '-t', 'nested', '/tsbuild/context']
  const [file = '', ...args] = [...prefix, engine, 'run', '--rm', '--network', 'none', '-v', `${inside}:/tsbuild:ro`, ...volumes.flatMap((volume) => ['-v', volume]), image, ...build]
  const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8' })
  const missing = expected.output.filter((text) => !`${stdout}${stderr}`.includes(text))
  const isRight = status === expected.exitCode && missing.length === 0
  console.log(`${isRight ? 'ok' : 'not ok'}  ${engine} run, build ${options.join(' ')}${volumes.length === 0 ? '' : ', store on a volume'}`)
  if (isRight) return
  failures.push(engine)
  console.log(`exit code ${status ?? 'none'}, missing ${JSON.stringify(missing)}\n${stdout}${stderr}`)
}

function isThere(engine: string): boolean {
  const args = [...prefix, engine, '--version']
  return spawnSync(args[0] ?? engine, args.slice(1), { stdio: 'ignore' }).status === 0
}

const folder = mkdtempSync(join(share, 'tsbuild-nested-'))
try {
  prepare(folder)
  const engines = ['docker', 'podman'].filter(isThere)
  if (engines.length === 0) throw new Error('neither docker nor podman is here')
  for (const engine of engines) {
    const works: Expected = { exitCode: 0, output: [warning, 'found made'] }
    check(engine, { folder, options: ['--isolation', 'chroot'] }, works)
    check(engine, { folder, options: [] }, works)
    const deleting = ['-f', '/tsbuild/context/deleting']
    check(engine, { folder, options: deleting, volumes: ['/var/lib/tsbuild'] }, { exitCode: 0, output: [warning, 'deleted it'] })
    check(engine, { folder, options: deleting }, { exitCode: 0, output: [warning, 'deleted it'] })
    check(engine, { folder, options: ['--isolation', 'namespaces'] }, { exitCode: 6, output: ['error: cannot '] })
  }
} finally {
  execFileSync('chmod', ['-R', 'u+w', folder])
  rmSync(folder, { recursive: true })
}
process.exitCode = failures.length === 0 ? 0 : 1
