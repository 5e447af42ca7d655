import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, linkSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'

/** Pitfalls of COPY, ADD and RUN that a real build decides, each by its subject; the differential suite has many more. */

const command = useCommand('copy-instruction')
const { context, must, run } = command
beforeAll(() => { importBusybox(command) })

let builds = 0
const files = { 'a.txt': 'a\n', 'b.txt': 'b\n', 'dir/x': 'x\n', 'dir/y.md': 'y\n', 'dir/sub/z': 'z\n', 'dir/sub/w.md': 'w\n' }

function build(lines: string, prepare: (path: string) => void = () => undefined): ReturnType<typeof run> {
  builds += 1
  const path = context(`copy-${builds}`, { ...files, Dockerfile: lines.startsWith('FROM') ? lines : `FROM busybox\n${lines}\n` })
  prepare(path)
  return run('build', '--progress', 'plain', '-t', 'copied', path)
}
function succeed(lines: string, prepare?: (path: string) => void): void {
  const { exitCode, stderr } = build(lines, prepare)
  expect(exitCode, stderr).toBe(0)
}
const inside = (script: string): string => must('run', '--network', 'none', 'copied', 'sh', '-c', script)
const listing = (folder: string): string => inside(`cd ${folder} && find . | sort | tr "\\n" " "`).trim()

describe('a destination', () => {
  it('is a directory by its slash, by what is there, or else the name of the file', () => {
    succeed('COPY a.txt /name\nCOPY a.txt /new/\nCOPY a.txt /tmp\nCOPY dir /copied')
    expect(inside('ls -d /name /new/a.txt /tmp/a.txt /copied/x /copied/sub/z | wc -l')).toBe('5')
    expect(build('COPY dir /etc/passwd').exitCode).toBe(1)
    expect(build('RUN mkdir /d\nCOPY dir/x /d/x/\nCOPY a.txt /d/x/x/').exitCode).toBe(1)
  })

  it('is followed through links inside the root only', () => {
    succeed('RUN mkdir /real && ln -s ../../../real /ln && ln -s /etc/new /file\nCOPY a.txt /ln/\nCOPY b.txt /file')
    expect(inside('cat /real/a.txt /etc/new; readlink /ln; readlink /file')).toBe('a\nb\n../../../real\n/etc/new')
  })

  it('that exists keeps its own mode, and what is below it takes that of the source', () => {
    succeed('RUN mkdir -m 0711 /have && chown 3:4 /have && mkdir -m 0700 /have/sub && echo k >/have/sub/kept\nCOPY dir /have')
    expect(inside('stat -c "%a %u" /have /have/sub; cat /have/sub/kept')).toBe('711 3\n755 0\nk')
  })

  it('that a link stands for in a copied tree is replaced and not written through', () => {
    succeed('RUN mkdir /t && ln -s /etc/passwd /t/x\nCOPY dir /t')
    expect(inside('cat /t/x; grep -c root /etc/passwd')).toBe('x\n1')
  })
})

describe('a source', () => {
  it('is clamped to the context, and followed when it is a link itself', () => {
    succeed('COPY ../../a.txt /up\nCOPY link /followed\nCOPY tree /tree', (path) => {
      symlinkSync('a.txt', join(path, 'link'))
      execFileSync('mkdir', [join(path, 'tree')])
      symlinkSync('/etc/passwd', join(path, 'tree/absolute'))
      symlinkSync('nowhere', join(path, 'tree/dangling'))
    })
    expect(inside('cat /up /followed; readlink /tree/absolute; readlink /tree/dangling')).toBe('a\na\n/etc/passwd\nnowhere')
  })

  it('must be there unless it is a pattern', () => {
    expect(build('COPY missing /').stderr).toContain('cannot copy "missing"')
    succeed('COPY *.missing /x/\nCOPY [a].txt *.txt /y/')
    expect(listing('/y')).toBe('. ./a.txt ./b.txt')
  })

  it('of the context is root\'s, of a stage whoever\'s it is, and keeps its modes and hard links', () => {
    const own = (path: string): void => {
      chownSync(join(path, 'a.txt'), 1000, 1000)
      chmodSync(join(path, 'a.txt'), 0o4750)
      linkSync(join(path, 'dir/x'), join(path, 'dir/same'))
    }
    succeed('FROM busybox AS s\nRUN mkdir /d && echo 1 >/d/f && chown 5:6 /d/f\nFROM busybox\nUSER nobody\nCOPY a.txt /a\nCOPY dir /dir\nCOPY --from=s /d /d\n', own)
    expect(inside('stat -c "%u %a" /a; stat -c %h /dir/x; stat -c "%u %g" /d/f')).toBe('0 4750\n2\n5 6')
  })
})

describe('flags of COPY', () => {
  it('--chown and --chmod hold for made parents too, and symbolic modes for what is copied only', () => {
    succeed('COPY --chown=7 --chmod=0751 a.txt /p/q/a\nCOPY --chmod=go=,u+x a.txt /s/t/a\nCOPY --chown=nobody:nogroup dir /n')
    expect(inside('stat -c "%a %u %g" /p/q /p/q/a /s/t /s/t/a /n/sub/z')).toBe('751 7 7\n751 7 7\n755 0 0\n700 0 0\n644 65534 65534')
  })

  it('--parents keeps the directories on the way, from the pivot on, and crosses them with **', () => {
    succeed('COPY --parents dir/sub/z a.txt /p/\nCOPY --parents dir/./sub/z /q/\nCOPY --parents **/*.md /r/')
    expect(listing('/p')).toBe('. ./a.txt ./dir ./dir/sub ./dir/sub/z')
    expect(listing('/q')).toBe('. ./sub ./sub/z')
    expect(listing('/r')).toBe('. ./dir ./dir/sub ./dir/sub/w.md ./dir/y.md')
    expect(build('COPY --parents dir/missing /p/').stderr).toContain('cannot copy "dir/missing"')
  })

  it('--exclude leaves out by patterns relative to each source, and takes back in', () => {
    succeed('COPY --exclude=*.md dir /one\nCOPY --exclude=**/*.md dir /all\nCOPY --exclude=b* *.txt /named/\nCOPY --exclude=sub --exclude=!sub/z dir /again')
    expect(listing('/one')).toBe('. ./sub ./sub/w.md ./sub/z ./x')
    expect(listing('/all')).toBe('. ./sub ./sub/z ./x')
    expect(listing('/named')).toBe('. ./a.txt')
    expect(listing('/again')).toBe('. ./sub ./sub/z ./x ./y.md')
  })

  it('--link follows nothing at the destination', () => {
    succeed('RUN mkdir /real && ln -s /real /ln\nCOPY --link a.txt /ln/')
    expect(inside('test ! -L /ln && cat /ln/a.txt && ls /real | wc -l')).toBe('a\n0')
  })
})

describe('ADD of an archive', () => {
  const archive = (path: string): void => {
    execFileSync('tar', ['-C', path, '--owner=5', '--group=6', '-cf', join(path, 'a.tar'), 'dir/sub/z', 'a.txt'])
    for (const program of ['gzip', 'bzip2', 'xz']) execFileSync(program, ['-k', join(path, 'a.tar')])
    execFileSync('gzip', ['-k', join(path, 'b.txt')])
  }

  it('unpacks every compression, with its owners, and leaves directories alone that it does not name', () => {
    succeed('RUN mkdir -p -m 0711 /t/dir && chown 9 /t/dir\nADD a.tar /t\nADD a.tar.gz /gz\nADD a.tar.bz2 /bz/\nADD a.tar.xz /xz', archive)
    expect(inside('stat -c "%a %u" /t/dir /t/dir/sub/z; cat /gz/a.txt /bz/a.txt /xz/a.txt')).toBe('711 9\n644 5\na\na\na')
  })

  it('does not happen to COPY, to what is no tar, or against --unpack', () => {
    succeed('COPY a.tar.gz /x/\nADD b.txt.gz /x/\nADD --unpack=false a.tar /x/', archive)
    expect(listing('/x')).toBe('. ./a.tar ./a.tar.gz ./b.txt.gz')
  })

  it('is refused when it leads out', () => {
    const { exitCode, stderr } = build('ADD evil.tar /x', (path) => {
      execFileSync('tar', ['-C', path, '--transform', 's,^a.txt,../../../canary,', '-Pcf', join(path, 'evil.tar'), 'a.txt'])
    })
    expect(exitCode).not.toBe(0)
    expect(stderr).not.toContain('bug in tsbuild')
  })
})

describe('a step for another platform', () => {
  it('says how to make its programs run', () => {
    const { exitCode, stderr } = build('FROM scratch\nCOPY foreign /bin/sh\nRUN true\n', (path) => {
      // The header of a program for arm64.
      execFileSync('sh', ['-c', `printf '\\177ELF\\002\\001\\001\\000\\000\\000\\000\\000\\000\\000\\000\\000\\002\\000\\267\\000' >${join(path, 'foreign')} && head -c 4000 /dev/zero >>${join(path, 'foreign')} && chmod 755 ${join(path, 'foreign')}`])
    })
    expect(exitCode).not.toBe(0)
    expect(stderr).toContain('true')
    const foreign = run('build', '--progress', 'plain', '--platform', 'linux/arm64', join(command.folder, `copy-${builds}`))
    expect(foreign.stderr).toContain('binfmt_misc')
  })
})
