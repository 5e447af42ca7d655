/** Root filesystems of the machine's own programs, as base images for the examples where no registry can be reached. */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { writeBusyboxRootfs } from './busybox-rootfs.ts'

const project = join(import.meta.dirname, '..')
const gccFolder = '/usr/lib/gcc/x86_64-linux-gnu/12'
const unneeded = ['test', 'idlelib', 'tkinter', 'lib2to3', 'ensurepip', 'config-3.11-x86_64-linux-gnu']

/** What `node:24-slim` has, as far as the examples go. */
export function writeNodeRootfs(tarPath: string): void {
  writeRootfs(tarPath, (root) => { addProgram(root, join(project, 'node_modules/node/bin/node'), '/usr/local/bin/node') })
}

/** What `python:3.11-slim` has. */
export function writePythonRootfs(tarPath: string): void {
  writeRootfs(tarPath, (root) => {
    addProgram(root, '/usr/bin/python3.11', '/usr/bin/python3.11')
    symlinkSync('python3.11', join(root, 'usr/bin/python3'))
    add(root, '/usr/lib/python3.11')
    for (const name of unneeded) rmSync(join(root, 'usr/lib/python3.11', name), { recursive: true, force: true })
  })
}

/** What `gcc:12` has, with musl for static programs. */
export function writeGccRootfs(tarPath: string): void {
  writeRootfs(tarPath, (root) => {
    for (const program of ['/usr/bin/x86_64-linux-gnu-gcc-12', '/usr/bin/as', '/usr/bin/ld', `${gccFolder}/cc1`, `${gccFolder}/collect2`]) addProgram(root, program, program)
    for (const path of [`${gccFolder}/libgcc.a`, `${gccFolder}/libgcc_eh.a`, `${gccFolder}/crtbeginT.o`, `${gccFolder}/crtbeginS.o`, `${gccFolder}/crtendS.o`, `${gccFolder}/crtend.o`, `${gccFolder}/include`, '/usr/lib/x86_64-linux-musl', '/usr/include/x86_64-linux-musl']) add(root, path)
    addLibraries(root, `${gccFolder}/liblto_plugin.so`)
    add(root, `${gccFolder}/liblto_plugin.so`)
    mkdirSync(join(root, 'usr/local/bin'), { recursive: true })
    writeFileSync(join(root, 'usr/local/bin/gcc'), '#!/bin/sh\nexec x86_64-linux-gnu-gcc-12 "$@" -specs /usr/lib/x86_64-linux-musl/musl-gcc.specs\n')
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
