/** Joins a new v2 group that allows the devices of the rules given as JSON, then says which of the paths it can open. */
import { closeSync, mkdirSync, openSync, rmdirSync, writeFileSync } from 'node:fs'
import { v2Driver } from '../../runtime/cgroup/v2.ts'
import type { DeviceRule } from '../../runtime/cgroup/driver.ts'

const [mountPoint = '', rules = '[]', ...paths] = process.argv.slice(2)
const folder = `${mountPoint}/tsbuild-device-test-${process.pid}`
mkdirSync(folder)
try {
  v2Driver.allowDevices(folder, JSON.parse(rules) as DeviceRule[])
  writeFileSync(`${folder}/cgroup.procs`, String(process.pid))
  const opened = paths.map((path) => {
    try {
      closeSync(openSync(path, 'r'))
      return 'opened'
    } catch (error) {
      return (error as { code?: string }).code
    }
  })
  process.stdout.write(JSON.stringify(opened))
} finally {
  writeFileSync(`${mountPoint}/cgroup.procs`, String(process.pid))
  rmdirSync(folder)
}
