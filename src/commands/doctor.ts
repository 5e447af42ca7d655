import { closeSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { defaultRoot } from '../../builder/index.ts'
import { isErrno, TsbuildError } from '../../core/errors.ts'
import { getAddon, readPipe } from '../../native/index.ts'
import type { HostFinding } from '../../runtime/index.ts'
import { examineHost, tryContainer, UserNamespaceUnavailable } from '../../runtime/index.ts'
import type { FormatDescription } from '../../storage/index.ts'
import { chooseGzipEngine, describeDriver, describeFormat, openStore, probeErofs } from '../../storage/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { runAsNamespaceRoot } from '../namespace-root.ts'

export const doctorCommand: CommandSpec = {
  name: 'doctor',
  operands: '',
  minOperands: 0,
  maxOperands: 0,
  summary: 'Say what this host offers containers and what it lacks, with the remedy; fails when no build could run',
  options: [
    { name: 'json', help: 'Print the findings as JSON' },
    { name: 'trial', help: 'Only open the store and run a container for trial' },
  ],
  examples: ['tsbuild doctor', 'tsbuild doctor --json'],
  run: doctor,
}

async function doctor({ options }: CommandInput, app: App): Promise<number> {
  const root = defaultRoot(app.env)
  const findings: readonly HostFinding[] = options.has('trial')
    ? await examineStore(root)
    : [...examineHost(app.env), await examineErofs(root), examineGzip(), ...(process.geteuid?.() === 0 ? await examineStore(root) : await tryAsNamespaceRoot(app))]
  for (const line of options.has('json') ? [JSON.stringify(findings)] : findings.flatMap(describe)) app.print(line)
  return findings.some(({ state }) => state === 'broken') ? unusable : 0
}

/** Tried where the store lies, since filesystems differ. */
async function examineErofs(root: string): Promise<HostFinding> {
  const support = await probeErofs(nearestFolder(root))
  return support.kind === 'available'
    ? { name: 'erofs-layers', state: 'offered', detail: `mounted ${support.backing === 'file' ? 'straight from their files' : 'by loop devices'}` }
    : { name: 'erofs-layers', state: 'missing', detail: support.reason, remedy: 'nothing has to be done: layers are kept as directories' }
}

function examineGzip(): HostFinding {
  const { engine, reason } = chooseGzipEngine()
  return engine.name === 'isa-l'
    ? { name: 'gzip', state: 'offered', detail: `by ISA-L: ${reason}` }
    : { name: 'gzip', state: 'missing', detail: `by zlib, which is slower than ISA-L: ${reason}`, remedy: 'nothing has to be done; for speed install ISA-L (Debian, Ubuntu: apt-get install libisal2) and unset TSBUILD_GZIP' }
}

/**
 * Opens the store as a build does, or one for trial where there is none yet, and runs a container beside it: what fails here would fail
 * there, and nothing else does.
 */
async function examineStore(root: string): Promise<HostFinding[]> {
  const remedy = 'set TSBUILD_ROOT to a folder of yours on a filesystem with room, and look at what TSBUILD_STORAGE_DRIVER and TSBUILD_LAYER_FORMAT ask for'
  let folder: string | undefined
  try {
    folder = mkdtempSync(join(nearestFolder(root), '.tsbuild-doctor-'))
    await using store = await openStore(existsSync(root) ? root : join(folder, 'store'))
    const choice = describeDriver(store)
    const { driver, reason } = choice
    const { chosen, reason: why } = await describeFormat(store)
    const place = join(folder, 'trial')
    mkdirSync(place)
    return [
      { name: 'store', state: 'offered', detail: `snapshots by ${driver}, because ${reason}; new layers are kept as ${formatWords[chosen]}, because ${why}` },
      await tryContainer(place, { kind: driver === 'vfs' ? 'directory' : 'overlay', program: choice.driver === 'fuse-overlayfs' ? choice.program : undefined }),
    ]
  } catch (error) {
    if (!(error instanceof TsbuildError) && !isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'ENOTDIR', 'EEXIST')) throw error
    return [{ name: 'store', state: 'broken', detail: error.message, remedy }]
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  }
}

const formatWords: Readonly<Record<FormatDescription['chosen'], string>> = {
  overlay: 'directories',
  erofs: 'EROFS images',
  auto: 'EROFS images, small ones of a build as directories',
  contrary: 'directories, small ones of a build as EROFS images',
}

function nearestFolder(path: string): string {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true ? path : nearestFolder(dirname(path))
}

/** The class of errors that are the host's, as in src/render/problem.ts. */
const unusable = 6

/** A plain user's containers are made by root of a user namespace, so that is who has to try. */
async function tryAsNamespaceRoot(app: App): Promise<HostFinding[]> {
  const [read, write] = getAddon().pipe(0)
  try {
    await runAsNamespaceRoot(app, { args: ['doctor', '--trial', '--json'], stdout: write })
  } catch (error) {
    closeSync(read)
    if (!(error instanceof UserNamespaceUnavailable)) throw error
    return [{ name: 'container', state: 'broken', detail: error.reason, remedy: error.remedy }]
  } finally {
    closeSync(write)
  }
  const findings = JSON.parse(await text(readPipe(read))) as HostFinding[]
  if (findings.length === 0) throw new TypeError('the trial found nothing')
  return findings
}

const marks: Readonly<Record<HostFinding['state'], string>> = { offered: 'ok', missing: '--', broken: '!!' }

function describe({ name, state, detail, remedy }: HostFinding): string[] {
  return [`${marks[state]}  ${name.padEnd(18)} ${detail}`, ...(remedy === undefined ? [] : [`${' '.repeat(23)}${remedy}`])]
}
