import { closeSync, readdirSync, statSync } from 'node:fs'
import type { RootKeeper } from '../../native/index.ts'
import { getAddon } from '../../native/index.ts'
import { clearWorkdir } from './clear-workdir.ts'

/**
 * The overlay of a snapshot, mounted where nobody sees it from its first container on. Mounting it again for the next, and
 * clearing its workdir for that, takes longer than all that a short container does. Nothing of it is left when we die.
 */
export class KeptMount implements RootKeeper {
  readonly #upperdir: string
  readonly #workdir: string
  #kept: { readonly key: string; readonly fd: number } | undefined
  #before = ''

  constructor(upperdir: string, workdir: string) {
    this.#upperdir = upperdir
    this.#workdir = workdir
  }

  /** The upperdir has been made. */
  begin(): void {
    this.#before = describeFolder(this.#upperdir)
  }

  find(key: string | undefined): string | undefined {
    if (this.#kept !== undefined && this.#kept.key === key) return `/proc/${process.pid}/fd/${this.#kept.fd}`
    if (this.#kept !== undefined) {
      this.close()
      clearWorkdir(this.#workdir)
    }
    return undefined
  }

  keep(key: string, fd: number): void {
    this.close()
    this.#kept = { key, fd }
  }

  /** Whether it is there, and all is as it was when it had been made. */
  isUnchanged(): boolean {
    return this.#kept !== undefined && describeFolder(this.#upperdir) === this.#before
  }

  /** Whoever changes or removes what it lies on does this before. */
  close(): void {
    if (this.#kept !== undefined) closeSync(this.#kept.fd)
    this.#kept = undefined
  }
}

/**
 * All that can be seen of an empty folder but when it was last read. Times alone would not do: before Linux 6.13 what happens
 * within a tick of the clock gets the same one.
 */
function describeFolder(path: string): string {
  const { mode, uid, gid, nlink, mtimeNs, ctimeNs } = statSync(path, { bigint: true })
  const xattrs = getAddon().readXattrs(path).map(([name, value]) => `${name}=${value.toString('base64')}`)
  return [mode, uid, gid, nlink, mtimeNs, ctimeNs, ...xattrs, ...readdirSync(path)].join(' ')
}
