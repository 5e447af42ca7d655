/** Runs in a mount namespace of its own: mounts an overlay, works in it, and says what it looks like. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LowerLayer } from '../../storage/index.ts'
import type { OverlayWork } from './overlay.ts'
import { operate } from './tree-operations.ts'
import { walkTree } from './walk-tree.ts'

const work = JSON.parse(readFileSync(0, 'utf8')) as OverlayWork
const devices: string[] = []
const mountpoints: string[] = []
const makeMountpoint = (): string => {
  const path = mkdtempSync(join(tmpdir(), 'tsbuild-test-mount-'))
  mountpoints.push(path)
  return path
}
const makeDevice = (file: string): string => {
  const device = execFileSync('losetup', ['--read-only', '--find', '--show', file], { encoding: 'utf8' }).trim()
  devices.push(device)
  return device
}
/** Through loop devices and mount(8), which shares nothing with how we mount. */
const mountLower = (lower: LowerLayer): string => {
  if (lower.kind === 'directory') return lower.path
  const path = makeMountpoint()
  execFileSync('mount', ['-t', 'erofs', '-o', `ro,device=${makeDevice(lower.tar)}`, makeDevice(lower.path), path])
  return path
}

const lowers = work.lowers.map(mountLower)
const mountpoint = makeMountpoint()
const upper = `upperdir=${work.upperdir},workdir=${work.workdir}`
execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', `lowerdir=${lowers.join(':')},${upper},redirect_dir=nofollow,metacopy=off,xino=${devices.length > 0 ? 'on' : 'off'}`, mountpoint])
const errors = work.operations.map((operation) => operate(mountpoint, operation))
const tree = walkTree(mountpoint)
for (const path of mountpoints.toReversed()) {
  execFileSync('umount', [path])
  rmdirSync(path)
}
if (devices.length > 0) execFileSync('losetup', ['--detach', ...devices])
process.stdout.write(JSON.stringify({ errors, tree }))
