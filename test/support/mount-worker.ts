/** Runs in a mount namespace of its own: mounts stacks of layers as `tsbuild mount` does, and says what each looks like. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTask } from '../../core/task.ts'
import { mountLayers } from '../../storage/erofs/mount-layers.ts'
import type { LowerLayer } from '../../storage/index.ts'
import { walkTree } from './walk-tree.ts'

const stacks = JSON.parse(readFileSync(0, 'utf8')) as readonly (readonly LowerLayer[])[]
const trees: string[][] = []
for (const stack of stacks) {
  const mountpoint = mkdtempSync(join(tmpdir(), 'tsbuild-test-mount-'))
  await mountLayers(stack, mountpoint, createTask())
  trees.push(walkTree(mountpoint))
  execFileSync('umount', [mountpoint])
  rmdirSync(mountpoint)
}
process.stdout.write(JSON.stringify(trees))
