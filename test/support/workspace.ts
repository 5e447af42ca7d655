import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { UpperDirs } from '../../runtime/index.ts'

/** A temporary folder with root filesystems to run containers on. Dispose it at the end of the test file. */
export class Workspace implements Disposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'tsbuild-kernel-'))
  #count = 0

  /** A new empty folder. */
  makeFolder(): string {
    this.#count += 1
    const folder = join(this.folder, String(this.#count))
    mkdirSync(folder)
    return folder
  }

  makeUpper(): UpperDirs {
    const folder = this.makeFolder()
    const upper = { upperdir: join(folder, 'upper'), workdir: join(folder, 'work') }
    mkdirSync(upper.upperdir)
    mkdirSync(upper.workdir)
    return upper
  }

  /** A layer with busybox as /bin/*, the probe as /bin/probe, and nothing else: no /proc, /dev, /sys, /etc. */
  makeBusyboxLayer(): string {
    const folder = this.makeFolder()
    const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path))
    if (busybox === undefined) throw new Error('these tests need a static busybox: apt-get install busybox-static')
    mkdirSync(join(folder, 'bin'))
    copyFileSync(busybox, join(folder, 'bin/busybox'))
    for (const applet of execFileSync(busybox, ['--list'], { encoding: 'utf8' }).split('\n')) {
      if (applet !== '' && applet !== 'busybox') symlinkSync('busybox', join(folder, 'bin', applet))
    }
    copyFileSync(this.#compileProbe(), join(folder, 'bin/probe'))
    chmodSync(join(folder, 'bin/probe'), 0o755)
    return folder
  }

  /** Every entry below a folder, itself included, with all that a layer records of it: one line each, sorted. */
  describe(folder: string): string[] {
    return execFileSync(this.#compileProbe(), ['describe'], { cwd: folder, encoding: 'utf8' }).split('\n').filter((line) => line !== '').map((line) => line.trimEnd()).sort()
  }

  makeWhiteout(path: string): void {
    execFileSync('mknod', [path, 'c', '0', '0'])
  }

  setAttribute(path: string, name: string, value: string): void {
    execFileSync(this.#compileProbe(), ['set-attribute', path, name, value])
  }

  /** The probe as a program of the host. */
  probe(): string {
    return this.#compileProbe()
  }

  #compileProbe(): string {
    const program = join(this.folder, 'probe')
    if (!existsSync(program)) execFileSync('cc', ['-std=gnu17', '-O1', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-static', '-o', program, join(import.meta.dirname, 'probe.c')])
    return program
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
