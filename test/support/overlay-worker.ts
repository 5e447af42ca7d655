/** Runs in a mount namespace of its own: mounts an overlay, works in it, and says what it looks like. */
import { readFileSync } from 'node:fs'
import type { OverlayWork } from './overlay.ts'
import { mountOverlay } from './overlay-mount.ts'
import { operate } from './tree-operations.ts'
import { walkTree } from './walk-tree.ts'

const work = JSON.parse(readFileSync(0, 'utf8')) as OverlayWork
using mount = mountOverlay(work.lowers, work)
const errors = work.operations.map((operation) => operate(mount.path, operation))
const tree = walkTree(mount.path)
process.stdout.write(JSON.stringify({ errors, tree }))
