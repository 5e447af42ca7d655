/** Root filesystems of the machine's own programs, as base images for the examples where no registry can be reached. */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { writeBusyboxRootfs } from './busybox-rootfs.ts'

const project = join(import.meta.dirname, '..')
const unneeded = /^(?:test|idlelib|tkinter|lib2to3|ensurepip|config-.*)$/u

/** What `node:24-slim` has, as far as the examples go. */
export function writeNodeRootfs(tarPath: string): void {
  writeRootfs(tarPath, (root) => { addProgram(root, join(project, 'node_modules/node/bin/node'), '/usr/local/bin/node') })
}

/** What `python:3-slim` has, in the version that is here. */
export function writePythonRootfs(tarPath: string): void {
  const python = realpathSync('/usr/bin/python3')
  const library = join('/usr/lib', basename(python))
  writeRootfs(tarPath, (root) => {
    addProgram(root, python, python)
    symlinkSync(basename(python), join(root, 'usr/bin/python3'))
    add(root, library)
    for (const name of readdirSync(library).filter((entry) => unneeded.test(entry))) rmSync(join(root, library, name), { recursive: true, force: true })
  })
}

/** What `gcc` has, in the version that is here, with musl for static programs. */
export function writeGccRootfs(tarPath: string): void {
  const ask = (option: string): string => execFileSync('/usr/bin/gcc', [option], { encoding: 'utf8' }).trim()
  const [program, folder, musl] = [realpathSync('/usr/bin/gcc'), dirname(ask('-print-libgcc-file-name')), ask('-dumpmachine').replace(/-gnu$/u, '-musl')]
  const plugin = ask('-print-file-name=liblto_plugin.so')
  writeRootfs(tarPath, (root) => {
    for (const part of [program, '/usr/bin/as', '/usr/bin/ld', ask('-print-prog-name=cc1'), ask('-print-prog-name=collect2')]) addProgram(root, part, part)
    for (const name of ['libgcc.a', 'libgcc_eh.a', 'crtbeginT.o', 'crtbeginS.o', 'crtendS.o', 'crtend.o', 'include']) add(root, join(folder, name))
    for (const path of [`/usr/lib/${musl}`, `/usr/include/${musl}`, plugin]) add(root, path)
    addLibraries(root, plugin)
    mkdirSync(join(root, 'usr/local/bin'), { recursive: true })
    writeFileSync(join(root, 'usr/local/bin/gcc'), `#!/bin/sh\nexec ${basename(program)} "$@" -specs /usr/lib/${musl}/musl-gcc.specs\n`)
    chmodSync(join(root, 'usr/local/bin/gcc'), 0o755)
  })
}

function writeRootfs(tarPath: string, fill: (root: string) => void): void {
  if (existsSync(tarPath)) return
  const work = mkdtempSync(join(tmpdir(), 'tsbuild-rootfs-'))
  try {
    const root = join(work, 'root')
    mkdirSync(root)
    writeBusyboxRootfs(join(work, 'busybox.tar'))
    execFileSync('tar', ['-C', root, '-xf', join(work, 'busybox.tar')])
    fill(root)
    execFileSync('tar', ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '-C', root, '-cf', `${tarPath}.part`, '.'])
    execFileSync('mv', [`${tarPath}.part`, tarPath])
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function addProgram(root: string, from: string, to: string): void {
  mkdirSync(dirname(join(root, to)), { recursive: true })
  execFileSync('cp', ['-L', realpathSync(from), join(root, to)])
  addLibraries(root, from)
}

/** What the dynamic loader brings for a program. */
function addLibraries(root: string, program: string): void {
  const listed = execFileSync('ldd', [program], { encoding: 'utf8' })
  for (const [, path = ''] of listed.matchAll(/(\/\S+) \(0x/gu)) add(root, path)
}

function add(root: string, path: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  if (!existsSync(join(root, path))) execFileSync('cp', ['-rL', path, join(root, path)])
}
