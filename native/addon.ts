import { createRequire } from 'node:module'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** What native/addon/ exports. Failing calls throw an Error with errno, code and syscall, as Node's own fs does. */
export interface Addon {
  /**
   * Starts a process in its own process group by posix_spawn; `fds[n]` becomes descriptor n of the child, -1 makes it
   * /dev/null, and descriptors beyond the array are the caller's to close. Returns the pid.
   */
  spawn(file: string, argv: readonly string[], env: readonly string[], fds: readonly number[]): number
  /** Waits for the end of a child, occupying a pool thread: call it when the end is near. Gives the raw wait status. */
  waitProcess(pid: number): Promise<number>
  /** A close-on-exec pipe `[readFd, writeFd]`; a capacity of 0 keeps the kernel's default. */
  pipe(capacityBytes: number): [number, number]
  /**
   * Reads a pipe in the event loop, as long as the process is wanted to live. It is the reader's to close, which happens before
   * the last callback: the one without bytes, with an error if reading failed.
   */
  openReader(fd: number, callback: (bytes: Buffer | undefined, error: Error | undefined) => void): Reader
  /** Ends a reader without a callback. @returns what the pipe holds by now; undefined when there is nothing, or it had come to its end */
  closeReader(reader: Reader): Buffer | undefined
  /** A sealed anonymous file with these bytes; as a program it can be spawned by the name `/proc/self/fd/N`. */
  memoryFile(bytes: Uint8Array, isProgram: boolean): number
  /** Tries to take a flock, which lasts until the descriptor is closed or the process dies. */
  tryLock(fd: number, exclusive: boolean): boolean
  /** Locks bytes of a file, which need not exist, for this descriptor alone and as long as it is open; 0 bytes are all from `start` on. */
  lockRange(fd: number, start: number, length: number, waits: boolean): boolean
  /** Has ext4 put each tree in the directory in a place of its own, where creating is not slowed by what was deleted lately. Whether the filesystem can. */
  spreadChildren(path: string): boolean
  /** Mounts an EROFS image and the tar that its files lie in where nobody sees it, until the descriptor is closed; -1 where the kernel refuses. */
  holdImage(index: string, tar: string): number
  /** Two ends for messages with descriptors in them. */
  socketPair(): [one: number, other: number]
  /** The descriptor in the message that has come, or -1. */
  receiveDescriptor(socketFd: number): number
  /** Lets this eBPF program decide which devices the processes of a v2 cgroup may use. */
  attachDeviceProgram(cgroupFd: number, program: Uint8Array): void
  /** Descriptors of a new network namespace with its loopback up, which lives as long as they are open, and of its /proc/net/sockstat. */
  makeNetwork(): [namespaceFd: number, socketsFd: number]
  /** Every extended attribute the kernel lists, of a link itself; empty where the filesystem has none. */
  readXattrs(path: string | Uint8Array): [name: string, value: Buffer][]
  getXattr(path: string | Uint8Array, name: string): Buffer | undefined
  setXattr(path: string | Uint8Array, name: string, value: Uint8Array): void
  /**
   * What a directory holds, in the records of native/addon/folder-record.h: all, or what lies under one name. With the digests
   * of those files that are as they were in `known`, an earlier answer. Its last component is followed. On a pool thread.
   */
  readFolder(path: Uint8Array, known: Uint8Array | undefined, only: Uint8Array | undefined, readsBackwards: boolean): Promise<Buffer>
  /** The 64 digits of the SHA-256 of bytes, or of a text as UTF-8. */
  sha256(bytes: Uint8Array | string): string
  /** Fills in the SHA-256 of the regular files whose records begin at `starts`. On a pool thread, which nobody may disturb in it. */
  digestFiles(path: Uint8Array, records: Uint8Array, starts: Uint32Array): Promise<void>
  /** Why ISA-L cannot be used; undefined when it can. */
  findIsal(): string | undefined
  /**
   * Compresses what comes through one descriptor, until its end, into another, as one gzip member, on threads of its own; both stay
   * the caller's to close. A level is zlib's, a negative one asks for ISA-L. `onProgress` is told of each mebibyte that was written.
   * @returns of what came, and of what was written
   */
  writeGzip(inputFd: number, outputFd: number, level: number, onProgress: (writtenBytes: number) => void): Promise<[plain: HashedBytes, packed: HashedBytes]>
  /** Needs ISA-L. */
  openInflater(): Inflater
  /** Goes on with a stream of gzip members, on a pool thread; one call at a time. Negative states are ISA-L's errors, after which nothing may follow. */
  inflate(inflater: Inflater, input: Uint8Array, output: Uint8Array): Promise<[consumedBytes: number, producedBytes: number, state: number]>
  /**
   * A file that is written by the pool's threads, which undo gzip and hash what they write; of its first bytes `heldBytes` are
   * there and hashed only. The descriptor stays the caller's.
   */
  openSink(fd: number, options: { readonly algorithm: 'sha256' | 'sha512'; readonly inflater: 'none' | 'zlib' | 'isa-l'; readonly heldBytes: number; readonly maxBytes: number }): Sink
  /** One call at a time; the chunks must not change until it resolves. After anything but `taken` the sink is spent. */
  fillSink(sink: Sink, chunks: readonly Uint8Array[], isLast: boolean): Promise<SinkOutcome>
  /** Takes what comes through the reading end of a pipe to its end, as it is, and closes it; on a thread that is not the pool's. */
  drainIntoSink(sink: Sink, pipeFd: number): Promise<SinkOutcome>
  /** Ends it, once; the digest of what was written or there, and its length. */
  endSink(sink: Sink): [digest: Buffer, sizeBytes: number]
}

/** A SHA-256 and how many bytes it is over. */
export type HashedBytes = [digest: Buffer, sizeBytes: number]

export interface Reader { readonly reader: unique symbol }

/** The native half of a decompression. */
export interface Inflater { readonly inflater: unique symbol }

/** How an inflation may stand. After the end of a member another may begin with the next call. */
export const inflateStates = { wantsInput: 0, wantsOutput: 1, memberEnded: 2 } as const

declare const brand: unique symbol
export interface Sink { readonly [brand]: 'sink' }

/** What native/addon/sink.c answers: the chunks were taken, they are no gzip, or they hold more than was allowed. */
export const sinkOutcomes = { taken: 0, malformed: 1, tooLarge: 2 } as const
export type SinkOutcome = (typeof sinkOutcomes)[keyof typeof sinkOutcomes]

/** The package's folder: two levels up in a bundle (dist/), one in the sources. */
function findNativeBuild(): string {
  const candidates = [join(import.meta.dirname, 'build'), join(import.meta.dirname, '..', 'native', 'build'), join(import.meta.dirname, '..', '..', 'native', 'build')]
  return candidates.find((folder) => existsSync(join(folder, 'tsbuild.node'))) ?? join(import.meta.dirname, 'build')
}

const build = findNativeBuild()
let loaded: Addon | undefined

/** Loads the addon at the first call, so that commands that need nothing native start without it. */
export function getAddon(): Addon {
  loaded ??= createRequire(import.meta.url)(join(build, 'tsbuild.node')) as Addon
  return loaded
}

export const helperPath: string = join(build, 'tsbuild-helper')
