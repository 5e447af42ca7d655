/** Makes the tar of a small root filesystem out of Debian's package busybox-static. */
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensurePackages } from './system-packages.ts'

const folders = ['bin', 'dev', 'etc', 'home', 'proc', 'root', 'sys', 'tmp', 'usr/bin', 'var/log']
const passwd = 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n'
const group = 'root:x:0:\nnogroup:x:65534:\n'
const busyboxPaths = ['/bin/busybox', '/usr/bin/busybox']

/** @throws when busybox is not there and cannot be installed */
export function writeBusyboxRootfs(tarPath: string): void {
  ensurePackages([{ name: 'busybox-static', provides: busyboxPaths }])
  const busybox = busyboxPaths.find((path) => existsSync(path))
  if (busybox === undefined) throw new Error('busybox is missing: install it with apt-get install busybox-static')
  const root = mkdtempSync(join(tmpdir(), 'tsbuild-busybox-'))
  // Whoever else wants it takes one that is there.
  const part = `${tarPath}.${process.pid}`
  try {
    chmodSync(root, 0o755)
    for (const folder of folders) mkdirSync(join(root, folder), { recursive: true })
    copyFileSync(busybox, join(root, 'bin/busybox'))
    chmodSync(join(root, 'bin/busybox'), 0o755)
    chmodSync(join(root, 'tmp'), 0o1777)
    chmodSync(join(root, 'root'), 0o700)
    for (const name of listApplets(busybox)) if (name !== 'busybox') symlinkSync('busybox', join(root, 'bin', name))
    writeFileSync(join(root, 'etc/passwd'), passwd)
    writeFileSync(join(root, 'etc/group'), group)
    execFileSync('tar', ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '-C', root, '-cf', part, '.'])
    renameSync(part, tarPath)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

function listApplets(busybox: string): string[] {
  return execFileSync(busybox, ['--list'], { encoding: 'utf8' }).split('\n').filter((name) => name !== '')
}
