import { closeSync } from 'node:fs'
import { release } from 'node:os'
import { getAddon } from '../../native/index.ts'

/**
 * EROFS images that this process has mounted where nobody sees them, so that each step of a build finds what it reads of
 * them in memory instead of mounting them again. Nothing is left of them when the process dies.
 */
export class HeldImages {
  readonly #held = new Map<string, number>()

  /** @returns a path by which the helper can clone the mount; '' where it has to make one of its own */
  hold(image: string, tar: string): string {
    if (!clonesHidden()) return ''
    const fd = this.#held.get(image) ?? getAddon().holdImage(image, tar)
    if (fd === -1) return ''
    this.#held.set(image, fd)
    return `/proc/${process.pid}/fd/${fd}`
  }

  /** What was cloned stays. */
  close(): void {
    for (const fd of this.#held.values()) closeSync(fd)
    this.#held.clear()
  }
}

/** Since Linux 6.15 mounts can be cloned that are attached nowhere. @see open_tree(2) */
function clonesHidden(): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number)
  return major > 6 || (major === 6 && minor >= 15)
}
