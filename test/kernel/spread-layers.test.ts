import { execFileSync } from 'node:child_process'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const folder = useTemporaryFolder('spread')

it.each([['ext4', 'T'], ['tmpfs', '']])('a new store on %s is made, with trees of layers spread where the filesystem knows that', (type, flag) => {
  const image = join(folder, `${type}-image`)
  const mountpoint = join(folder, type)
  mkdirSync(mountpoint)
  writeFileSync(image, '')
  truncateSync(image, 64 * 1024 * 1024)
  execFileSync('mkfs.ext4', ['-q', '-F', image])
  const script = `mount -t ${type} -o ${type === 'ext4' ? 'loop' : 'size=64m'} "$1" "$2" && "$3" --input-type=module -e "$4" && cd "$2/store" && (lsattr -d layers snapshots content || true) && umount -l "$2"`
  const program = `import { openStore } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, '../../storage/index.ts')).href)}; await (await openStore(${JSON.stringify(join(mountpoint, 'store'))}))[Symbol.asyncDispose]()`
  const output = execFileSync('unshare', ['-m', 'sh', '-c', script, 'sh', image, mountpoint, process.execPath, program], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  const spread = output.split('\n').filter((line) => /^\S*T\S* /u.test(line)).map((line) => line.split(' ').at(-1))
  expect(spread).toEqual(flag === 'T' ? ['layers', 'snapshots'] : [])
})
