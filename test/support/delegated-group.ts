/**
 * `delegated-group.ts GROUP CONTROLLER [stranger]`: moves to a v2 group, leaving another process there if told so, and asks for a place
 * below it for a container's group. Writes JSON: where that is, or why nowhere, and where this process is then.
 */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { v2Driver } from '../../runtime/cgroup/v2.ts'
import type { CgroupController } from '../../runtime/errors.ts'
import { LimitNotApplicable } from '../../runtime/errors.ts'

const [, , group = '', controller = '', stranger] = process.argv
const other = stranger === undefined ? undefined : execFile('sh', ['-c', 'sleep 60 & wait'])
writeFileSync(join(group, 'cgroup.procs'), String(process.pid), { flag: 'r+' })
// Not this process's child, so that it is nobody's that tsbuild started.
const [grandchild = ''] = other?.pid === undefined ? [] : await waitForChild(other.pid)
if (grandchild !== '') writeFileSync(join(group, 'cgroup.procs'), grandchild, { flag: 'r+' })
const place = (): unknown => {
  try {
    return { parent: v2Driver.findParent({ kind: 'v2', mountPoint: group, ownGroup: group, controllers: [controller] }, [controller as CgroupController]) }
  } catch (error) {
    if (!(error instanceof LimitNotApplicable)) throw error
    return { reason: error.reason }
  }
}
process.stdout.write(JSON.stringify({ place: place(), own: /^0::(.*)$/mu.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1], given: readFileSync(join(group, 'cgroup.subtree_control'), 'utf8').trim() }))
if (grandchild !== '') process.kill(Number(grandchild), 'SIGKILL')

async function waitForChild(pid: number): Promise<string[]> {
  for (;;) {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter((word) => word !== '')
    if (children.length > 0) return children
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
