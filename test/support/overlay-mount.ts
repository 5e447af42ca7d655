import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LowerLayer } from '../../storage/index.ts'

interface Upper {
  readonly upperdir: string
  readonly workdir: string
  /** fuse-overlayfs, which mounts it then. */
  readonly program?: string | undefined
}

/** An overlay mounted in this process's mount namespace by mount(8) or by fuse-overlayfs itself, which shares nothing with how we mount. */
export function mountOverlay(lowers: readonly LowerLayer[], upper: Upper): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'tsbuild-test-mount-'))
  const mountpoints: string[] = []
  const mountLower = (lower: LowerLayer): string => {
    if (lower.kind === 'directory') return lower.path
    const mountpoint = mkdtempSync(join(tmpdir(), 'tsbuild-test-mount-'))
    mountpoints.push(mountpoint)
    const [tar, index] = [makeDevice(lower.tar), makeDevice(lower.path)]
    execFileSync('mount', ['-t', 'erofs', '-o', `ro,device=${tar}`, index, mountpoint])
    // While it is mounted they stay, and go with the mount: a test that is killed leaves none.
    execFileSync('losetup', ['--detach', tar, index])
    return mountpoint
  }
  const folders = [`lowerdir=${lowers.map(mountLower).join(':')}`, `upperdir=${upper.upperdir}`, `workdir=${upper.workdir}`]
  const options = [...folders, 'redirect_dir=nofollow', 'metacopy=off', `xino=${mountpoints.length > 0 ? 'on' : 'off'}`]
  if (upper.program === undefined) execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', options.join(','), path])
  else {
    execFileSync(upper.program, ['-o', folders.join(','), path], { stdio: 'ignore' })
    // It mounts without devices, as we do not.
    execFileSync('mount', ['-o', 'remount,bind,dev', path])
  }
  return {
    path,
    [Symbol.dispose]: () => {
      for (const mountpoint of [path, ...mountpoints]) {
        execFileSync('umount', [mountpoint])
        rmdirSync(mountpoint)
      }
    },
  }
}

function makeDevice(file: string): string {
  return execFileSync('losetup', ['--read-only', '--find', '--show', file], { encoding: 'utf8' }).trim()
}
