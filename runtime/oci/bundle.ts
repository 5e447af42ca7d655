import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { findSystemProgram } from '../../core/find-program.ts'
import type { WireWriter } from '../../native/index.ts'
import type { CgroupHierarchy } from '../cgroup/hierarchies.ts'
import { listCgroupMounts } from '../cgroup/hierarchies.ts'
import type { ContainerSpec, Executor } from '../container-spec.ts'
import { InvalidSpec, OciRuntimeFailed, OciRuntimeMissing } from '../errors.ts'
import type { HostSupport } from '../host-support.ts'
import { outsideId } from '../rootless/id-maps.ts'
import { ociConfig } from './oci-config.ts'

/** A container written down for another runtime, in a folder that only we can read. */
export interface Bundle extends Disposable {
  /** Writes what follows the request of `run` in that of `bundle`. */
  readonly appendTo: (wire: WireWriter) => void
  /** What the runtime said went wrong; undefined when nothing did. */
  readonly failure: () => OciRuntimeFailed | undefined
}

export interface BundleParts {
  readonly spec: ContainerSpec
  readonly host: HostSupport
  readonly hasTerminal: boolean
  /** A name looked up in PATH, or a path. */
  readonly runtime: string
}

/** @throws {InvalidSpec} {OciRuntimeMissing} */
export function createBundle({ spec, host, hasTerminal, runtime }: BundleParts): Bundle {
  if (hasTerminal) throw new InvalidSpec('stdio', 'terminal', 'no terminal with this runtime: use the built-in one')
  const program = runtime.includes('/') ? runtime : findSystemProgram(runtime, process.env)
  if (program === undefined) throw new OciRuntimeMissing(runtime)
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-bundle-'))
  const log = join(folder, 'log.json')
  // Not as our own groups are called: one without a lock would be taken for stale, and emptied.
  const id = `tsbuild-oci-${spec.id}`
  try {
    mkdirSync(join(folder, 'rootfs'))
    // Root of the container's user namespace has to get through to the root filesystem; config.json stays ours.
    if (spec.isolation.idMaps !== undefined) chmodSync(folder, 0o711)
    const filePath = (index: number): string => join(folder, `file-${index}`)
    writeFiles(spec, filePath)
    writeFileSync(join(folder, 'config.json'), JSON.stringify(ociConfig({ spec, host, filePath })), { mode: 0o600 })
  } catch (error) {
    rmSync(folder, { recursive: true })
    throw error
  }
  const args = [
    program, '--root', join(folder, 'state'), '--log', isCrun(program) ? `file:${log}` : log, '--log-format', 'json', ...ownOptions(program, spec),
    'run', '--bundle', folder, id,
  ]
  return {
    appendTo: (wire) => {
      wire.bytes(join(folder, 'rootfs')).bytes(program)
      wire.list(args, (arg) => wire.bytes(arg)).list([`PATH=${process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin'}`], (variable) => wire.bytes(variable))
      wire.bytes(isCrun(program) ? hybridUnified(host) : '')
      wire.list(isCrun(program) ? [] : hiddenMounts(host), (path) => wire.bytes(path))
      wire.bytes(groupOf(host, id) ?? '')
    },
    failure: () => readFailure(program, log),
    [Symbol.dispose]: () => {
      removeGroup(host, id)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Where cgroup v2 is mounted beside v1, which crun refuses even when it is to leave cgroups alone; "" elsewhere. */
function hybridUnified({ hierarchies }: HostSupport): string {
  const unified = hierarchies.find(({ kind }) => kind === 'v2')
  return unified === undefined || hierarchies.every(({ kind }) => kind === 'v2') ? '' : unified.mountPoint
}

/**
 * All of v1 but the devices, without which runc does not work. Groups that it made below ours would take the counts of
 * OOM kills with them when it removes them, and stay when it is killed.
 */
function hiddenMounts(host: HostSupport): string[] {
  if (devicesOf(host) === undefined) return []
  return listCgroupMounts(readFileSync('/proc/self/mountinfo', 'utf8')).filter(({ options }) => !options.includes('devices')).map(({ mountPoint }) => mountPoint)
}

function devicesOf({ hierarchies }: HostSupport): CgroupHierarchy | undefined {
  return hierarchies.find(({ kind, controllers }) => kind === 'v1' && controllers.includes('devices'))
}

/** The one that runc makes. */
function groupOf(host: HostSupport, name: string): string | undefined {
  const devices = devicesOf(host)
  return devices === undefined ? undefined : join(devices.ownGroup, name)
}

/** What a runtime that was killed could not remove. */
function removeGroup(host: HostSupport, name: string): void {
  const group = groupOf(host, name)
  if (group === undefined) return
  try {
    rmdirSync(group)
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'EBUSY')) throw error
  }
}

/** Whether our rules for devices have no place: a runtime has its own (crun leaves that to its caller, as all of cgroups), or there are no groups. */
export function restrictsDevices(executor: Executor | undefined): boolean {
  return executor?.kind === 'chroot' || (executor?.kind === 'oci' && !isCrun(executor.runtime))
}

/** Cgroups are left alone by those that can, since limits hold by the groups they are started in; runsc has a network of its own making unless told. */
function ownOptions(program: string, { isolation }: ContainerSpec): readonly string[] {
  if (isCrun(program)) return ['--cgroup-manager', 'disabled']
  const networks: Readonly<Partial<Record<typeof isolation.network.mode, string>>> = { none: 'none', host: 'host' }
  return basename(program) === 'runsc' ? ['--ignore-cgroups', '--network', networks[isolation.network.mode] ?? 'sandbox'] : []
}

/** It can leave cgroups to its caller. */
function isCrun(program: string): boolean {
  return basename(program) === 'crun'
}

function writeFiles({ mounts, isolation: { idMaps } }: ContainerSpec, filePath: (index: number) => string): void {
  for (const [index, mount] of mounts.entries()) {
    if (mount.kind !== 'file') continue
    writeFileSync(filePath(index), mount.content, { mode: 0o600 })
    chownSync(filePath(index), outsideId(idMaps?.uids, mount.uid), outsideId(idMaps?.gids, mount.gid))
    chmodSync(filePath(index), mount.mode)
  }
}

/** The runtimes write a line of JSON for each message. */
function readFailure(program: string, log: string): OciRuntimeFailed | undefined {
  try {
    const errors = readFileSync(log, 'utf8').split('\n').filter((line) => line !== '').map(parseLine).filter(({ level }) => level === 'error' || level === 'fatal')
    const last = errors.at(-1)
    return last === undefined ? undefined : new OciRuntimeFailed(program, last.msg)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

function parseLine(line: string): { readonly level: string; readonly msg: string } {
  const { level = '', msg = '' } = JSON.parse(line) as { level?: string; msg?: string }
  return { level, msg }
}
