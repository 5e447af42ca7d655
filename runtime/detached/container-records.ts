import { closeSync, constants, existsSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { getAddon } from '../../native/index.ts'
import type { Privilege, ProcessSpec } from '../container-spec.ts'
import { ContainerNotFound, ContainerNotRunning, ContainerInUse, NameInUse } from './errors.ts'

/** What was asked for. */
export interface ContainerRecord {
  readonly id: string
  readonly name: string
  readonly image: string
  readonly command: readonly string[]
  readonly createdAtMs: number
  /** As `docker ps` shows them. */
  readonly ports: readonly string[]
  readonly isRemovedAtEnd: boolean
  /** `NAME=VALUE`. Records of earlier versions have none. */
  readonly labels?: readonly string[]
  /** Its command waits for it, and has its output: there is no log. */
  readonly isForeground?: boolean
}

/** What is needed to find the container's processes and to start another one beside them. */
export interface RunningState {
  readonly initPid: number
  readonly process: ProcessSpec
  readonly privilege: Privilege
  /** What it is to be asked to end by, as the image or the caller wrote it; default TERM. */
  readonly stopSignal: string | undefined
}

export interface EndState {
  readonly exitCode: number
  readonly endedAtMs: number
  /** Why it ended, where there is more to say than the exit code. */
  readonly reason: string | undefined
}

export type DetachedContainer = ContainerRecord & { readonly state: ContainerState }

/** `lost`: its supervisor was killed, and the container with it. */
export type ContainerState =
  | { readonly kind: 'starting' }
  | { readonly kind: 'running'; readonly running: RunningState }
  | { readonly kind: 'ended'; readonly end: EndState }
  | { readonly kind: 'lost' }

/** What a supervisor, or a command that stays with its container, holds: as long as it lives, its container counts as alive, whatever pids say. */
export interface HeldRecord {
  readonly folder: string
  started(state: RunningState): void
  ended(state: EndState): void
}

/**
 * The detached containers of one root directory, and those in the foreground that were given a name. Each has a folder with its record, its log and a lock that its
 * supervisor holds; the kernel drops the lock with the supervisor, so nothing here needs a daemon to stay true.
 */
export class ContainerRecords {
  readonly #folder: string

  constructor(root: string) {
    this.#folder = join(root, 'containers')
  }

  /** Called by the supervisor, which keeps the lock until it ends. What a killed one should have removed goes here. @throws {NameInUse} */
  create(record: ContainerRecord): HeldRecord {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    const guard = openSync(join(this.#folder, 'lock'), constants.O_RDWR | constants.O_CREAT, 0o600)
    try {
      getAddon().lockRange(guard, 0, 1, true)
      for (const { id, isRemovedAtEnd, state } of this.list()) if (isRemovedAtEnd && state.kind === 'lost') this.discard(id)
      if (this.list().some(({ name }) => name === record.name)) throw new NameInUse(record.name)
      const folder = join(this.#folder, record.id)
      mkdirSync(folder, { mode: 0o700 })
      makeLock(folder)
      write(folder, 'record.json', record)
      return { folder, started: (state) => { write(folder, 'running.json', state) }, ended: (state) => { write(folder, 'ended.json', state) } }
    } finally {
      closeSync(guard)
    }
  }

  /** The newest first. */
  list(): DetachedContainer[] {
    if (!existsSync(this.#folder)) return []
    const found = readdirSync(this.#folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()).flatMap((entry) => this.#read(entry.name))
    return found.sort((one, other) => other.createdAtMs - one.createdAtMs)
  }

  /** By name, id, or the beginning of an id that no other has. @throws {ContainerNotFound} */
  get(text: string): DetachedContainer {
    const all = this.list()
    const exact = all.find(({ id, name }) => id === text || name === text)
    const [short, ...others] = text === '' ? [] : all.filter(({ id }) => id.startsWith(text))
    const found = exact ?? (others.length === 0 ? short : undefined)
    if (found === undefined) throw new ContainerNotFound(text, others.length > 0)
    return found
  }

  /** @throws {ContainerNotFound} {ContainerNotRunning} */
  getRunning(text: string): ContainerRecord & { readonly running: RunningState } {
    const container = this.get(text)
    if (container.state.kind !== 'running') throw new ContainerNotRunning(container.name)
    return { ...container, running: container.state.running }
  }

  logFile({ id }: ContainerRecord): string {
    return join(this.#folder, id, 'log')
  }

  /** Forgets a container that has ended. @throws {ContainerInUse} */
  remove({ id, name }: ContainerRecord): void {
    const folder = join(this.#folder, id)
    if (isHeld(folder) === true) throw new ContainerInUse(name)
    this.discard(id)
  }

  /** As `remove`, for the supervisor itself. */
  discard(id: string): void {
    // Nobody is to see what is left of a container without its record.
    rmSync(join(this.#folder, id, 'record.json'), { force: true })
    rmSync(join(this.#folder, id), { recursive: true, force: true })
  }

  #read(id: string): DetachedContainer[] {
    const folder = join(this.#folder, id)
    // In this order: its lock is held before there is a record, and how it ended is written before that is given up.
    const record = readIfThere(folder, 'record.json') as ContainerRecord | undefined
    const isAlive = isHeld(folder)
    if (record === undefined || isAlive === undefined) return []
    const end = readIfThere(folder, 'ended.json') as EndState | undefined
    if (end !== undefined) return [{ ...record, state: { kind: 'ended', end } }]
    if (!isAlive) return [{ ...record, state: { kind: 'lost' } }]
    const running = readIfThere(folder, 'running.json') as RunningState | undefined
    return [{ ...record, state: running === undefined ? { kind: 'starting' } : { kind: 'running', running } }]
  }
}

/** Those who look whether it is held take a lock for a moment, so it has its name only when it is. */
function makeLock(folder: string): void {
  const path = join(folder, 'lock')
  getAddon().tryLock(openSync(`${path}.new`, constants.O_RDWR | constants.O_CREAT, 0o600), true)
  renameSync(`${path}.new`, path)
}

/** Whether a supervisor lives. @returns undefined when the container was forgotten meanwhile */
function isHeld(folder: string): boolean | undefined {
  let fd: number
  try {
    fd = openSync(join(folder, 'lock'), constants.O_RDWR)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
  try {
    return !getAddon().tryLock(fd, false)
  } finally {
    closeSync(fd)
  }
}

function write(folder: string, name: string, value: unknown): void {
  const path = join(folder, name)
  writeFileSync(`${path}.new`, JSON.stringify(value), { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

function readIfThere(folder: string, name: string): unknown {
  try {
    return JSON.parse(readFileSync(join(folder, name), 'utf8')) as unknown
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
