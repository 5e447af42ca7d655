/** npm run demo: the main job on real input, from Debian's busybox to a running image, in a store of its own. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeBusyboxRootfs } from './busybox-rootfs.ts'

const project = join(import.meta.dirname, '..')
const work = mkdtempSync(join(tmpdir(), 'tsbuild-demo-'))
const env: NodeJS.ProcessEnv = { ...process.env, TSBUILD_ROOT: join(work, 'store') }
// Reading a bundle of extra certificates would cost every command more than its own start.
delete env['NODE_EXTRA_CA_CERTS']

if (process.getuid?.() !== 0) {
  console.error('The demo makes containers, so for now it needs root: sudo npm run demo')
  process.exit(1)
}
if (!existsSync(join(project, 'dist', 'cli.cjs'))) run('npm', ['run', '--silent', 'build'], 'bundle the sources')
try {
  const rootfs = join(work, 'busybox.tar')
  console.log('# make a root filesystem of Debian\'s busybox-static')
  writeBusyboxRootfs(rootfs)
  tsbuild(['import', '--change', 'CMD ["sh"]', rootfs, 'busybox'], 'make a base image of it')
  const site = join(project, 'examples', 'site')
  const build = ['-t', 'demo/site:1', '--memory', '64m', '--cpus', '1', '--pids-limit', '64', '--network', 'none', '--progress', 'plain', site]
  tsbuild(build, 'build an image, every RUN under limits')
  tsbuild(['-q', ...build], 'build it again: every step is found, and the image id is the same')
  tsbuild(['run', '--network', 'none', '--memory', '64m', 'demo/site:1', 'sh', '-c', 'httpd -p 8080 -h /www && wget -qO- http://localhost:8080/index.html && id'], 'run it')
  tsbuild(['history', 'demo/site:1'], 'look at what each step added, in bytes and inodes')
  tsbuild(['images'], 'list what the store holds')
  tsbuild(['fsck'], 'check the store')
} finally {
  rmSync(work, { recursive: true, force: true })
}

function tsbuild(args: readonly string[], why: string): void {
  run(process.execPath, [join(project, 'bin', 'tsbuild.cjs'), ...args], why, `tsbuild ${args.map(shown).join(' ')}`)
}

// eslint-disable-next-line max-params -- what to run and what to say about it
function run(file: string, args: readonly string[], why: string, line = [file, ...args].join(' ')): void {
  console.log(`\n# ${why}\n$ ${line}`)
  const { status, error } = spawnSync(file, args, { stdio: 'inherit', env })
  if (error !== undefined) throw error
  if (status !== 0) process.exit(status ?? 1)
}

function shown(arg: string): string {
  const short = arg.replace(`${work}/`, '').replace(`${project}/`, '')
  return /^[\w./:=-]+$/u.test(short) ? short : `'${short}'`
}
