import { closeSync, constants, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { isErrno } from '../../core/errors.ts'
import { collectReports, HelperFailure, startHelper } from '../../native/index.ts'
import { createContainerCgroup } from '../cgroup/container-cgroup.ts'
import type { ContainerStdio } from '../container-spec.ts'
import { ContainerSetupFailed, InvalidSpec } from '../errors.ts'
import { findMainProcess } from '../exec-in-container.ts'
import type { ContainerReport } from '../helper-protocol.ts'
import { decodeReport, encodeRequest } from '../helper-protocol.ts'
import { getHost } from '../host-support.ts'
import { nameFailure } from '../run-container.ts'
import { OciContainerExists, OciContainerNotFound, OciContainerStatus, ProgramNotExecuted } from './errors.ts'
import type { OciBundle } from './read-bundle.ts'
import { readBundle } from './read-bundle.ts'

/** What the specification's `state` answers. @see runtime-spec runtime.md "State" */
export interface OciState {
  readonly ociVersion: string
  readonly id: string
  readonly status: 'created' | 'running' | 'stopped'
  /** Of the container's init; absent once it has ended. */
  readonly pid?: number
  readonly bundle: string
  readonly annotations?: Readonly<Record<string, string>>
}

interface Kept {
  readonly id: string
  readonly bundle: string
  readonly annotations: Readonly<Record<string, string>>
  readonly pid: number
  /** When the process began, by which it differs from a later one of the same number. */
  readonly startTime: string
  /** The container's cgroups, which nobody removes before `delete`. */
  readonly groups: readonly string[]
}

/** As native/helper/container/process.h has it. */
const startFifo = 'start'
const ociVersion = '1.0.2'

/**
 * The containers of an OCI runtime. Each has a folder with its state and the fifo that its init waits for; nothing else
 * of ours lives while it does: init is left to whoever reaps for our caller, and ends with the process's exit code.
 */
export class OciContainers {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  /**
   * Sets a container up but for its program. It has these streams. Returns the pid of its init.
   * @throws {InvalidSpec} {LimitNotApplicable} {ContainerSetupFailed} {OciContainerExists}
   */
  async create(id: string, bundle: string, fds: readonly [number, number, number]): Promise<number> {
    if (!/^(?!\.{1,2}$)[\w+.-]{1,255}$/u.test(id)) throw new InvalidSpec('id', id, '1 to 255 letters, digits and _ + . -')
    const read = readBundle(bundle, id, getHost())
    const folder = this.#makeFolder(id)
    try {
      return await this.#setUp({ id, bundle, read, folder, stdio: { kind: 'descriptors', fds } })
    } catch (error) {
      rmSync(folder, { recursive: true })
      throw error
    }
  }

  /** Executes the program of a created container. @throws {ProgramNotExecuted} {OciContainerNotFound} {OciContainerStatus} */
  async start(id: string): Promise<void> {
    const kept = this.#read(id)
    this.#need(id, ['created'], 'start')
    const fifo = join(this.#root, id, startFifo)
    // Its own writing end keeps the reading one from ending before the container's is there.
    const keeper = openSync(fifo, constants.O_RDWR)
    const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
    const watch = new AbortController()
    let isKept = true
    const release = (): void => {
      if (!isKept) return
      closeSync(keeper)
      isKept = false
      // Not before: the container's end opens it by name, maybe only now.
      rmSync(fifo, { force: true })
    }
    const reports: ContainerReport[] = []
    const failed = collectReports(reader, (bytes) => {
      reports.push(decodeReport(bytes))
      release()
    })
    void watchForEnd(kept, watch.signal).then(release)
    const failure = await failed
    watch.abort()
    release()
    if (failure !== undefined) throw nameFailure(id, new HelperFailure('create', failure))
    const notExecuted = reports.find((report) => report.kind === 'not-executed')?.notExecuted
    if (notExecuted !== undefined) throw new ProgramNotExecuted(id, notExecuted)
    if (reports.length === 0) throw new OciContainerStatus(id, 'stopped', 'start')
  }

  /** @throws {OciContainerNotFound} */
  state(id: string): OciState {
    const kept = this.#read(id)
    const status = this.#status(kept)
    return {
      ociVersion, id, status, bundle: kept.bundle,
      ...(status === 'stopped' ? {} : { pid: kept.pid }),
      ...(Object.keys(kept.annotations).length === 0 ? {} : { annotations: kept.annotations }),
    }
  }

  /** Signals the container's own process. @throws {OciContainerNotFound} {OciContainerStatus} */
  kill(id: string, signal: NodeJS.Signals | number): void {
    const kept = this.#read(id)
    this.#need(id, ['created', 'running'], 'kill')
    const main = findMainProcess(kept.pid)
    if (main === undefined) throw new OciContainerStatus(id, 'stopped', 'kill')
    process.kill(main, signal)
  }

  /** Forgets a container that has ended, or ends it. @throws {OciContainerNotFound} {OciContainerStatus} */
  async delete(id: string, { isForced }: { readonly isForced: boolean }): Promise<void> {
    if (isForced && !existsSync(join(this.#root, id, 'state.json'))) {
      rmSync(join(this.#root, id), { recursive: true, force: true })
      return
    }
    const kept = this.#read(id)
    if (isForced && isAlive(kept)) process.kill(kept.pid, 'SIGKILL')
    if (isForced) await watchForEnd(kept, AbortSignal.timeout(endMs))
    this.#need(id, ['stopped'], 'delete')
    for (const group of kept.groups) await removeGroup(group)
    rmSync(join(this.#root, id), { recursive: true })
  }

  async #setUp({ id, bundle, read, folder, stdio }: Setup): Promise<number> {
    const cgroup = createContainerCgroup(read.cgroup)
    const reports: ContainerReport[] = []
    const stateFd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      const request = encodeRequest({ spec: read.spec, stdio: stdio.kind, cgroup, host: getHost(), places: read.places(cgroup) })
      await startHelper({ mode: 'create', request, stdio: stdio.fds, fds: [stateFd] }, (bytes) => reports.push(decodeReport(bytes))).ended
      const pid = reports.find((report) => report.kind === 'started')?.pid
      const startTime = pid === undefined ? undefined : readStat(pid)?.startTime
      if (pid === undefined || startTime === undefined || !reports.some(({ kind }) => kind === 'created')) throw new ContainerSetupFailed(id, { stage: 'init process', errnoName: 'ESRCH', object: 'init' })
      write(folder, { id, bundle, annotations: read.annotations, pid, startTime, groups: cgroup.groups.map((group) => group.folder) })
      return pid
    } catch (error) {
      const pid = reports.find((report) => report.kind === 'started')?.pid
      if (pid !== undefined && readStat(pid) !== undefined) process.kill(pid, 'SIGKILL')
      for (const group of cgroup.groups) await removeGroup(group.folder)
      throw nameFailure(id, error)
    } finally {
      closeSync(stateFd)
    }
  }

  #makeFolder(id: string): string {
    const folder = join(this.#root, id)
    mkdirSync(this.#root, { recursive: true, mode: 0o700 })
    try {
      mkdirSync(folder, { mode: 0o700 })
      return folder
    } catch (error) {
      if (isErrno(error, 'EEXIST')) throw new OciContainerExists(id)
      throw error
    }
  }

  #read(id: string): Kept {
    try {
      return JSON.parse(readFileSync(join(this.#root, id, 'state.json'), 'utf8')) as Kept
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) throw new OciContainerNotFound(id)
      throw error
    }
  }

  #status(kept: Kept): OciState['status'] {
    if (!isAlive(kept)) return 'stopped'
    return existsSync(join(this.#root, kept.id, startFifo)) ? 'created' : 'running'
  }

  #need(id: string, wanted: readonly OciState['status'][], what: 'start' | 'kill' | 'delete'): void {
    const { status } = this.state(id)
    if (!wanted.includes(status)) throw new OciContainerStatus(id, status, what)
  }
}

interface Setup {
  readonly id: string
  readonly bundle: string
  readonly read: OciBundle
  readonly folder: string
  readonly stdio: Extract<ContainerStdio, { readonly kind: 'descriptors' }>
}

/** How long a process may take to go after SIGKILL. */
const endMs = 10_000

function write(folder: string, kept: Kept): void {
  writeFileSync(join(folder, 'state.json.new'), JSON.stringify(kept), { mode: 0o600 })
  renameSync(join(folder, 'state.json.new'), join(folder, 'state.json'))
}

/** Settles when the container's init has ended, or the signal aborts. */
async function watchForEnd(kept: Kept, signal: AbortSignal): Promise<void> {
  while (isAlive(kept) && !signal.aborted) await setTimeout(5)
}

function isAlive({ pid, startTime }: Kept): boolean {
  const stat = readStat(pid)
  return stat?.startTime === startTime && stat.state !== 'Z' && stat.state !== 'X'
}

/** Of /proc/PID/stat; the name in it can hold anything but ends at the last bracket. @see proc_pid_stat(5) */
function readStat(pid: number): { readonly state: string; readonly startTime: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0] ?? '', startTime: fields[19] ?? '' }
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return undefined
    throw error
  }
}

/** Without a pid namespace of its own, what a container left behind lives on in its groups. */
async function removeGroup(folder: string): Promise<void> {
  for (const deadline = Date.now() + endMs; ;) {
    try {
      rmdirSync(folder)
      return
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return
      if (!isErrno(error, 'EBUSY') || Date.now() > deadline) throw error
    }
    killGroup(folder)
    await setTimeout(5)
  }
}

function killGroup(folder: string): void {
  for (const pid of readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n')) {
    try {
      if (Number(pid) > 0) process.kill(Number(pid), 'SIGKILL')
    } catch (error) {
      if (!isErrno(error, 'ESRCH')) throw error
    }
  }
}
