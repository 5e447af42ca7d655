import { SecretLeaked } from './errors.ts'
import type { Leak } from './leak.ts'
import { LogMask } from './log-mask.ts'
import type { SecretPattern } from './secret-patterns.ts'

export type LogStream = 'stdout' | 'stderr'

type Emit = (stream: LogStream, bytes: Uint8Array) => void

/** What one step writes, in all its attempts: `emit` gets it with `***` where a secret's value was. */
export class GuardedLog {
  readonly #emit: Emit
  readonly #masks: Readonly<Record<LogStream, LogMask>> | undefined

  constructor(patterns: readonly SecretPattern[], emit: Emit) {
    this.#emit = emit
    this.#masks = patterns.length === 0 ? undefined : { stdout: new LogMask(patterns), stderr: new LogMask(patterns) }
  }

  /** What may be the beginning of a secret is emitted with what is written next. */
  write(stream: LogStream, bytes: Uint8Array): void {
    this.#emitSome(stream, this.#masks === undefined ? bytes : this.#masks[stream].add(bytes))
  }

  /** Emits what was held back: the attempt is over. */
  end(): void {
    for (const [stream, log] of this.#streams()) this.#emitSome(stream, log.end())
  }

  /** Secrets that were written, and where first. */
  get leaks(): Leak[] {
    return this.#streams().flatMap(([stream, { seen }]) => [...seen.values()].map(({ pattern: { secret, encoding }, line }) => ({ secret, encoding, place: `the log, line ${line} of ${stream}` })))
  }

  /** @throws {SecretLeaked} */
  check(): void {
    const { leaks } = this
    if (leaks.length > 0) throw new SecretLeaked(leaks)
  }

  #streams(): (readonly [LogStream, LogMask])[] {
    return this.#masks === undefined ? [] : [['stdout', this.#masks.stdout], ['stderr', this.#masks.stderr]]
  }

  #emitSome(stream: LogStream, bytes: Uint8Array): void {
    if (bytes.length > 0) this.#emit(stream, bytes)
  }
}
