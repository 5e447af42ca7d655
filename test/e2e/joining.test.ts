import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'

const line = useCommand('joining')
const { must, run, folder, context } = line

beforeAll(() => { importBusybox(line) })
afterAll(() => { run('rm', '-f', 'spy') })

describe('a process that joins a container', () => {
  it('shows nothing of the host to those who wait for it there', () => {
    const spy = 'mkdir /seen; while [ ! -e /stop ]; do for link in /proc/[0-9]*/fd/* /proc/[0-9]*/cwd /proc/[0-9]*/root /proc/[0-9]*/exe; do readlink $link; done 2> /dev/null | sort -u > /seen/now; cat /seen/now >> /seen/all; done; touch /ended; sleep 1000'
    must('run', '-d', '--name', 'spy', '--cap-add', 'SYS_PTRACE', 'busybox', 'sh', '-c', spy)
    must('exec', 'spy', 'sh', '-c', 'until test -s /seen/all; do sleep 0.05; done')
    for (let turn = 0; turn < 8; turn++) must('exec', 'spy', 'true')
    const seen = must('exec', 'spy', 'sh', '-c', 'touch /stop; until test -e /ended; do sleep 0.05; done; sort -u /seen/all').split('\n')
    expect(seen.length).toBeGreaterThan(2)
    expect(seen.filter((target) => !/^(?:pipe|socket|anon_inode|\/dev\/null|\/seen|\/proc\/|\/memfd:|\/bin|\/usr|\/$)/u.test(target))).toEqual([])
    expect(seen.join('\n')).not.toContain(folder)
  })
})

describe('a build', () => {
  it('runs nothing of the image outside of its containers', () => {
    const mark = join(folder, 'trojan-was-here')
    const names = ['gzip', 'unpigz', 'xz', 'tar', 'git', 'zstd', 'bzip2', 'newuidmap', 'pasta', 'nft']
    const path = context('trojan', {
      trojan: `#!/bin/sh\ntouch ${mark}\n`, 'data.txt': 'data',
      Dockerfile: `FROM busybox AS base\nENV LD_PRELOAD=/lib/evil.so NODE_OPTIONS=--require=/lib/evil.js PATH=/evil:/bin:/usr/bin\n`
        + `${names.map((name) => `COPY --chmod=755 trojan /evil/${name}\nCOPY --chmod=755 trojan /usr/bin/${name}\n`).join('')}COPY trojan /etc/ld.so.preload\nCOPY trojan /etc/nsswitch.conf\n`
        + 'RUN --mount=type=cache,target=/c tar cf /c/x.tar /etc 2> /dev/null; echo done > /made\nFROM base\nCOPY --from=base /made /copied\nADD data.txt /added\n',
    })
    must('build', '-q', '-t', 'trojan', path)
    must('save', '-o', join(folder, 'trojan.tar'), 'trojan')
    must('load', '-i', join(folder, 'trojan.tar'))
    expect(must('run', '--env', 'LD_PRELOAD=', 'trojan', '/bin/cat', '/copied')).toBe('done')
    expect(existsSync(mark)).toBe(false)
  })
})
