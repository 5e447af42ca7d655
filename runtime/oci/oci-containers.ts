import { closeSync, constants, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import type { HelperProcess } from '../../native/index.ts'
import { collectReports, getAddon, HelperFailure, startHelper } from '../../native/index.ts'
import type { ContainerCgroup } from '../cgroup/container-cgroup.ts'
import { createContainerCgroup } from '../cgroup/container-cgroup.ts'
import type { ContainerStdio, SignalSource } from '../container-stdio.ts'
import { ContainerSetupFailed, InvalidSpec } from '../errors.ts'
import type { Console, ContainerReport } from '../helper-protocol.ts'
import { decodeReport, encodeRequest, writeConsole } from '../helper-protocol.ts'
import { getHost } from '../host-support.ts'
import { findExitCode, nameFailure } from '../run-container.ts'
import { forwardSignals } from '../signals.ts'
import type { KeptState } from './container-state.ts'
import { endMs, isAlive, makeStateFolder, readStat, readState, removeGroup, removeUnfinished, signalGroup, startFifo, statusOf, watchForEnd, writeState } from './container-state.ts'
import { OciContainerStatus, ProgramNotExecuted } from './errors.ts'
import type { Hook, HookKind } from './hooks.ts'
import { runHook, runHookInside } from './hooks.ts'
import type { OciBundle } from './read-bundle.ts'
import { readBundle } from './read-bundle.ts'

/** What the specification's `state` answers. @see runtime-spec runtime.md "State" */
export interface OciState {
  readonly ociVersion: string
  readonly id: string
  readonly status: 'created' | 'running' | 'stopped'
  /** Of the container's first process; absent once it has ended. */
  readonly pid?: number
  readonly bundle: string
  readonly annotations?: Readonly<Record<string, string>>
}

/** Where a container's streams are. */
export interface OciStreams {
  readonly fds: readonly [number, number, number]
  /** Who gets the terminal that the bundle asks for. */
  readonly consoleSocket?: string | undefined
}

export interface OciContainersOptions {
  /** Told of hooks that failed where the container goes on. */
  readonly warn: (error: unknown) => void
}

const ociVersion = '1.0.2'

/**
 * The containers of an OCI runtime. Each has a folder with its state and the fifo that its first process waits for; nothing
 * else of ours lives while it does: that process is left to whoever reaps for our caller.
 */
export class OciContainers {
  readonly #root: string
  readonly #warn: OciContainersOptions['warn']

  constructor(root: string, { warn }: OciContainersOptions) {
    this.#root = root
    this.#warn = warn
  }

  /**
   * Sets a container up but for its program. Returns the pid of its first process.
   * @throws {InvalidSpec} {LimitNotApplicable} {ContainerSetupFailed} {OciContainerExists} {OciHookFailed}
   */
  async create(id: string, bundle: string, { fds, consoleSocket }: OciStreams): Promise<number> {
    const read = this.#read(id, bundle)
    if (read.hasTerminal !== (consoleSocket !== undefined)) throw new InvalidSpec('process.terminal', read.hasTerminal, read.hasTerminal ? 'a console socket to send the terminal to' : 'true, with a console socket')
    const { pid } = await this.#setUp({ id, bundle, read, stdio: fds, console: { ...read.consoleSize, socket: consoleSocket }, isFollowed: false })
    return pid
  }

  /** A container from its start to its end, its terminal being ours. Returns its exit code. */
  async run(id: string, bundle: string, { fds, signals }: { readonly fds: OciStreams['fds']; readonly signals: SignalSource }): Promise<number> {
    const read = this.#read(id, bundle)
    const stdio = read.hasTerminal ? [fds[0], fds[1], -1] as const : fds
    const { helper, reports } = await this.#setUp({ id, bundle, read, stdio, console: read.consoleSize, isFollowed: true })
    const stopForwarding = forwardSignals(signals, helper)
    try {
      await this.start(id)
      await helper.ended
    } finally {
      stopForwarding()
      await this.delete(id, { isForced: true })
    }
    const ended = reports.find((report) => report.kind === 'ended')
    if (ended === undefined) throw new OciContainerStatus(id, 'stopped', 'start')
    return findExitCode(ended.status, undefined)
  }

  /** Executes the program of a created container. @throws {ProgramNotExecuted} {OciContainerNotFound} {OciContainerStatus} {OciHookFailed} */
  async start(id: string): Promise<void> {
    const kept = readState(this.#root, id)
    this.#need(id, ['created'], 'start')
    try {
      for (const hook of hooksOf(kept, 'startContainer')) await runHookInside(hook, describe(kept, 'created'), kept)
    } catch (error) {
      process.kill(kept.pid, 'SIGKILL')
      throw error
    }
    await this.#execute(kept)
    this.#runHooks(kept, 'poststart', 'running')
  }

  /** @throws {OciContainerNotFound} */
  state(id: string): OciState {
    const kept = readState(this.#root, id)
    return describe(kept, statusOf(this.#root, kept))
  }

  /** Where further processes are made. @throws {OciContainerNotFound} {OciContainerStatus} */
  running(id: string): KeptState {
    this.#need(id, ['running', 'created'], 'exec')
    return readState(this.#root, id)
  }

  /** Signals the container's own process, or all of its processes. @throws {OciContainerNotFound} {OciContainerStatus} */
  kill(id: string, signal: NodeJS.Signals | number, { isForAll }: { readonly isForAll: boolean }): void {
    const kept = readState(this.#root, id)
    if (isForAll) {
      for (const { folder } of kept.groups) signalGroup(folder, signal)
      return
    }
    this.#need(id, ['created', 'running'], 'kill')
    try {
      process.kill(kept.pid, signal)
    } catch (error) {
      if (isErrno(error, 'ESRCH')) throw new OciContainerStatus(id, 'stopped', 'kill')
      throw error
    }
  }

  /** Forgets a container that has ended, or ends it. @throws {OciContainerNotFound} {OciContainerStatus} */
  async delete(id: string, { isForced }: { readonly isForced: boolean }): Promise<void> {
    if (isForced && removeUnfinished(this.#root, id)) return
    const kept = readState(this.#root, id)
    if (isForced && isAlive(kept)) process.kill(kept.pid, 'SIGKILL')
    if (isForced) await watchForEnd(kept, AbortSignal.timeout(endMs))
    this.#need(id, ['stopped'], 'delete')
    for (const { folder } of kept.groups) await removeGroup(folder)
    rmSync(join(this.#root, id), { recursive: true })
    this.#runHooks(kept, 'poststop', 'stopped')
  }

  #read(id: string, bundle: string): OciBundle {
    if (!/^(?!\.{1,2}$)[\w+.-]{1,255}$/u.test(id)) throw new InvalidSpec('id', id, '1 to 255 letters, digits and _ + . -')
    return readBundle(bundle, id, getHost())
  }

  async #setUp(setup: Setup): Promise<Created> {
    const { id, read } = setup
    const folder = makeStateFolder(this.#root, id)
    let cgroup: ContainerCgroup | undefined
    let kept: KeptState | undefined
    try {
      cgroup = createContainerCgroup(read.cgroup)
      const first = new FirstProcess({ ...setup, folder, cgroup })
      kept = await first.untilCreated((state) => this.#prepare(folder, state))
      return { pid: kept.pid, helper: first.helper, reports: first.reports }
    } catch (error) {
      for (const group of cgroup?.groups ?? []) await removeGroup(group.folder)
      rmSync(folder, { recursive: true })
      throw nameFailure(id, error)
    }
  }

  /** What is to be done while the container waits in its namespaces. */
  async #prepare(folder: string, kept: KeptState): Promise<void> {
    writeState(folder, kept)
    const state = describe(kept, 'created')
    for (const kind of ['prestart', 'createRuntime'] as const) for (const hook of hooksOf(kept, kind)) runHook(hook, state)
    for (const hook of hooksOf(kept, 'createContainer')) await runHookInside(hook, state, { pid: kept.pid, privilege: { isPrivileged: true } })
  }

  /** A failure does not stop what goes on; those before the program does are not called by this. */
  #runHooks(kept: KeptState, kind: HookKind, status: OciState['status']): void {
    for (const hook of hooksOf(kept, kind)) {
      try {
        runHook(hook, describe(kept, status))
      } catch (error) {
        this.#warn(error)
      }
    }
  }

  async #execute(kept: KeptState): Promise<void> {
    const { id } = kept
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

  #need(id: string, wanted: readonly OciState['status'][], what: 'start' | 'kill' | 'delete' | 'exec'): void {
    const { status } = this.state(id)
    if (!wanted.includes(status)) throw new OciContainerStatus(id, status, what)
  }
}

function hooksOf({ hooks }: KeptState, kind: HookKind): readonly Hook[] {
  return hooks.filter((hook) => hook.kind === kind)
}

function describe(kept: KeptState, status: OciState['status']): OciState {
  return {
    ociVersion, id: kept.id, status, bundle: kept.bundle,
    ...(status === 'stopped' ? {} : { pid: kept.pid }),
    ...(Object.keys(kept.annotations).length === 0 ? {} : { annotations: kept.annotations }),
  }
}

interface Setup {
  readonly id: string
  readonly bundle: string
  readonly read: OciBundle
  readonly stdio: readonly [number, number, number]
  readonly console: Console
  /** The helper stays until the end. */
  readonly isFollowed: boolean
}

interface Created {
  readonly pid: number
  readonly helper: HelperProcess
  readonly reports: readonly ContainerReport[]
}

/** The helper's mode `create`, from its start to where the container waits for its program. */
class FirstProcess {
  readonly helper: HelperProcess
  readonly reports: ContainerReport[] = []
  readonly #setup: Setup & { readonly cgroup: ContainerCgroup }
  readonly #goFd: number
  #onReport: (report: ContainerReport) => void = () => undefined

  constructor(setup: Setup & { readonly folder: string; readonly cgroup: ContainerCgroup }) {
    this.#setup = setup
    const { read, cgroup, folder, stdio, isFollowed } = setup
    const kind: ContainerStdio['kind'] = read.hasTerminal ? 'terminal' : 'descriptors'
    const request = encodeRequest({ spec: read.spec, stdio: kind, cgroup, host: getHost(), places: read.places(cgroup), append: (wire) => {
      writeConsole(wire, setup.console)
      wire.flag(isFollowed).flag(true)
    } })
    const stateFd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
    const [go, goFd] = getAddon().pipe(0)
    this.#goFd = goFd
    try {
      this.helper = startHelper({ mode: 'create', request, stdio, fds: [stateFd, go] }, (bytes) => {
        const report = decodeReport(bytes)
        this.reports.push(report)
        this.#onReport(report)
      })
    } finally {
      closeSync(stateFd)
      closeSync(go)
    }
  }

  /** `prepare` is called once the container is in its namespaces. */
  async untilCreated(prepare: (kept: KeptState) => Promise<void>): Promise<KeptState> {
    const created = Promise.withResolvers<boolean>()
    let kept: KeptState | undefined
    this.#onReport = ({ kind }) => {
      if (kind === 'created') created.resolve(true)
      // The helper tells the pid, the container that it waits; which comes first is chance.
      if (kept !== undefined || !['started', 'namespaced'].every((each) => this.reports.some((report) => report.kind === each))) return
      kept = this.#describe()
      prepare(kept).then(() => { writeSync(this.#goFd, 'g') }).catch(created.reject)
    }
    this.helper.ended.then(() => { created.resolve(false) }, created.reject)
    try {
      if (await created.promise && kept !== undefined) return kept
      const notExecuted = this.reports.find((report) => report.kind === 'not-executed')?.notExecuted
      if (notExecuted !== undefined) throw new ProgramNotExecuted(this.#setup.id, notExecuted)
      throw new ContainerSetupFailed(this.#setup.id, { stage: 'init process', errnoName: 'ESRCH', object: 'first process' })
    } catch (error) {
      const pid = this.#pid()
      if (pid !== undefined && readStat(pid) !== undefined) process.kill(pid, 'SIGKILL')
      throw error
    } finally {
      closeSync(this.#goFd)
    }
  }

  #pid(): number | undefined {
    return this.reports.find((report) => report.kind === 'started')?.pid
  }

  #describe(): KeptState {
    const { id, bundle, read, cgroup } = this.#setup
    const pid = this.#pid()
    const startTime = pid === undefined ? undefined : readStat(pid)?.startTime
    if (pid === undefined || startTime === undefined) throw new ContainerSetupFailed(id, { stage: 'init process', errnoName: 'ESRCH', object: 'first process' })
    const groups = cgroup.groups.map((group) => ({ folder: group.folder, isV2: group.hierarchy.kind === 'v2' }))
    return { id, bundle, annotations: read.annotations, pid, startTime, groups, process: read.spec.process, privilege: read.spec.privilege, hooks: read.hooks }
  }
}
