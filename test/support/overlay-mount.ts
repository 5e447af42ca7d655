import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LowerLayer } from '../../storage/index.ts'

/** An overlay mounted in this process's mount namespace by mount(8), which shares nothing with how we mount. */
export function mountOverlay(lowers: readonly LowerLayer[], upper: { readonly upperdir: string; readonly workdir: string }): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'tsbuild-test-mount-'))
  const devices: string[] = []
  const mountpoints: string[] = []
  const makeDevice = (file: string): string => {
    const device = execFileSync('losetup', ['--read-only', '--find', '--show', file], { encoding: 'utf8' }).trim()
    devices.push(device)
    return device
  }
  const mountLower = (lower: LowerLayer): string => {
    if (lower.kind === 'directory') return lower.path
    const mountpoint = mkdtempSync(join(tmpdir(), 'tsbuild-test-mount-'))
    mountpoints.push(mountpoint)
    execFileSync('mount', ['-t', 'erofs', '-o', `ro,device=${makeDevice(lower.tar)}`, makeDevice(lower.path), mountpoint])
    return mountpoint
  }
  const options = [`lowerdir=${lowers.map(mountLower).join(':')}`, `upperdir=${upper.upperdir}`, `workdir=${upper.workdir}`, 'redirect_dir=nofollow', 'metacopy=off', `xino=${devices.length > 0 ? 'on' : 'off'}`]
  execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', options.join(','), path])
  return {
    path,
    [Symbol.dispose]: () => {
      for (const mountpoint of [path, ...mountpoints]) {
        execFileSync('umount', [mountpoint])
        rmdirSync(mountpoint)
      }
      if (devices.length > 0) execFileSync('losetup', ['--detach', ...devices])
    },
  }
}
