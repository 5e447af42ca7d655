import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, linkSync, mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** A context with one of everything a COPY may meet. Each case has a fresh copy of its own. */
export function writeFixture(folder: string, files: Readonly<Record<string, string>>): void {
  const file = (path: string, text = `${path}\n`, mode = 0o644): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
    chmodSync(join(folder, path), mode)
  }
  file('a.txt')
  file('b.txt', 'b\n', 0o600)
  file('exec.sh', '#!/bin/sh\necho executed\n', 0o755)
  for (const path of ['dir/x', 'dir/y.md', 'dir/sub/z', 'dir/sub/deep/w', 'dir/.hidden', 'with space/f', 'star[1].txt', 'ü.txt', 'other/o.txt', 'hard/one']) file(path)
  file('perm/setuid', 's\n', 0o4755)
  chmodSync(join(folder, 'perm'), 0o700)
  file('sticky/f')
  chmodSync(join(folder, 'sticky'), 0o1777)
  linkSync(join(folder, 'hard/one'), join(folder, 'hard/two'))
  mkdirSync(join(folder, 'empty'))
  for (const [path, target] of [['link', 'a.txt'], ['dirlink', 'dir'], ['dangling', 'nowhere'], ['dir/inner', 'x'], ['dir/absolute', '/etc/passwd'], ['dir/up', '../../../../etc']] as const) symlinkSync(target, join(folder, path))
  chownSync(join(folder, 'a.txt'), 1000, 1001)
  chownSync(join(folder, 'dir/sub'), 1000, 1001)
  execFileSync('mkfifo', [join(folder, 'dir/sub/fifo')])
  writeArchives(folder)
  utimesSync(join(folder, 'a.txt'), 1_000_000_000, 1_000_000_000)
  for (const [path, text] of Object.entries(files)) file(path, text)
}

/** A tar that names only some of its directories, with owners and modes, in every compression; and one that is none. */
function writeArchives(folder: string): void {
  const tree = join(folder, 'tree')
  mkdirSync(join(tree, 'usr/bin'), { recursive: true })
  mkdirSync(join(tree, 'named'), { mode: 0o750 })
  writeFileSync(join(tree, 'usr/bin/tool'), 'tool\n', { mode: 0o755 })
  chownSync(join(tree, 'usr/bin/tool'), 5, 6)
  chmodSync(join(tree, 'usr/bin/tool'), 0o4755)
  linkSync(join(tree, 'usr/bin/tool'), join(tree, 'usr/bin/same'))
  symlinkSync('tool', join(tree, 'usr/bin/alias'))
  execFileSync('tar', ['-C', tree, '--mtime=@1000000000', '--numeric-owner', '-cf', join(folder, 'archive.tar'), 'usr/bin/tool', 'usr/bin/same', 'usr/bin/alias', 'named'])
  rmSync(tree, { recursive: true })
  for (const [program, ending] of [['gzip', 'gz'], ['bzip2', 'bz2'], ['xz', 'xz']] as const) {
    const plain = join(folder, 'archive.tar')
    if (!existsSync(`${plain}.${ending}`)) execFileSync(program, ['-k', plain])
  }
  writeFileSync(join(folder, 'single'), 'no tar\n')
  execFileSync('gzip', [join(folder, 'single')])
}
