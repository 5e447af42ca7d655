/** Runs in a mount namespace of its own: mounts an overlay, works in it, and says what it looks like. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OverlayWork } from './overlay.ts'
import { operate } from './tree-operations.ts'
import { walkTree } from './walk-tree.ts'

const work = JSON.parse(readFileSync(0, 'utf8')) as OverlayWork
const mountpoint = mkdtempSync(join(tmpdir(), 'tsbuild-test-mount-'))
const upper = `upperdir=${work.upperdir},workdir=${work.workdir}`
execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', `lowerdir=${work.lowers.join(':')},${upper},redirect_dir=nofollow,metacopy=off`, mountpoint])
const errors = work.operations.map((operation) => operate(mountpoint, operation))
const tree = walkTree(mountpoint)
execFileSync('umount', [mountpoint])
rmdirSync(mountpoint)
process.stdout.write(JSON.stringify({ errors, tree }))
