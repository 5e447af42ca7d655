/** What a container is whoever makes it. @see docs/decisions/0082-other-runtimes.md for what differs */
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { Executor } from '../../runtime/index.ts'
import type { ContainerParts } from '../support/container.ts'
import { makeSpec, run, runScript } from '../support/container.ts'
import { Workspace } from '../support/workspace.ts'

export function describeExecutor(executor: Executor): void {
  describe(`a container of ${executor.kind === 'oci' ? executor.runtime : 'the helper'}`, () => {
    const workspace = new Workspace()
    const lower = workspace.makeBusyboxLayer()
    const upper = workspace.makeUpper()
    const rootfs = () => ({ kind: 'overlay', lowers: [{ kind: 'directory', path: lower }], upper: workspace.makeUpper(), xattrs: 'trusted' }) as const
    const script = (text: string, parts: Partial<ContainerParts> = {}) => runScript(text, { rootfs: rootfs(), executor, ...parts })
    const status = (fields: string, parts: Partial<ContainerParts> = {}) => script(`grep -E '^(${fields}):' /proc/self/status | tr -s '\\t' ' '`, parts)

    afterAll(() => { workspace[Symbol.dispose]() })

    it('ends as its process does', async () => {
      // The command gives an object without offsets when none are asked for.
      const { exit, stdout, stderr } = await run({ args: ['/bin/sh', '-c', 'echo out; echo err >&2; exit 43'], rootfs: rootfs(), executor, isolation: { clockOffsets: {} } })
      expect([exit.exitCode, stdout, stderr]).toEqual([43, 'out\n', 'err\n'])
      expect((await run({ args: ['/bin/sh', '-c', 'sh -c "kill -9 \\$\\$"; exit $?'], rootfs: rootfs(), executor })).exit.exitCode).toBe(137)
    })

    it('writes to its upper directory, where nothing of ours is left', async () => {
      await script('echo text > /made; rm /bin/zcat', { rootfs: { kind: 'overlay', lowers: [{ kind: 'directory', path: lower }], upper, xattrs: 'trusted' } })
      expect(readdirSync(upper.upperdir).sort()).toEqual(['bin', 'made'])
      expect(readdirSync(join(upper.upperdir, 'bin'))).toEqual(['zcat'])
    })

    it('sees its own processes, root filesystem and names only', async () => {
      expect(await script('ls / | tr "\\n" " "; hostname; cd /proc; ls -d [0-9]* | wc -l')).toEqual([expect.stringMatching(/^bin dev (?:etc )?proc sys box$/u), expect.stringMatching(/^[2-5]$/u)])
      const mounts = await script('cut -d" " -f5 /proc/self/mountinfo')
      expect(mounts.filter((mount) => !/^\/(?:dev|proc|sys)(?:\/|$)/u.test(mount))).toEqual(['/'])
    })

    it('has Docker\'s devices', async () => {
      expect(await script('cd /dev; for n in full null random tty urandom zero; do stat -c "%n %A %t:%T" $n; done; for l in fd stdin stdout stderr; do readlink $l; done')).toEqual([
        'full crw-rw-rw- 1:7', 'null crw-rw-rw- 1:3', 'random crw-rw-rw- 1:8', 'tty crw-rw-rw- 5:0', 'urandom crw-rw-rw- 1:9', 'zero crw-rw-rw- 1:5',
        '/proc/self/fd', '/proc/self/fd/0', '/proc/self/fd/1', '/proc/self/fd/2',
      ])
    })

    it('has the default capabilities, and none for another user', async () => {
      expect(await status('CapInh|CapPrm|CapEff|CapBnd|CapAmb')).toEqual(['CapInh: 0000000000000000', 'CapPrm: 00000000a80425fb', 'CapEff: 00000000a80425fb', 'CapBnd: 00000000a80425fb', 'CapAmb: 0000000000000000'])
      const user = { uid: 1000, gid: 1001, groups: [7, 9] }
      expect(await status('Uid|Gid|Groups|CapPrm|CapEff', { process: { user } })).toEqual(['Uid: 1000 1000 1000 1000', 'Gid: 1001 1001 1001 1001', expect.stringMatching(/^Groups: (?:1001 )?7 9(?: 1001)? ?$/u), 'CapPrm: 0000000000000000', 'CapEff: 0000000000000000'])
    })

    it('takes capabilities, no_new_privs and filters as asked for', async () => {
      expect(await status('CapEff', { privilege: { capDrop: ['ALL'], capAdd: ['CHOWN'] } })).toEqual(['CapEff: 0000000000000001'])
      expect(await status('NoNewPrivs', { privilege: { noNewPrivileges: true } })).toEqual(['NoNewPrivs: 1'])
      expect(await status('Seccomp')).toEqual(['Seccomp: 2'])
      expect(await status('Seccomp', { privilege: { seccomp: { kind: 'unconfined' } } })).toEqual(['Seccomp: 0'])
      expect(await script('unshare -U true 2>/dev/null || echo refused; mount -t tmpfs x /proc 2>/dev/null || echo refused')).toEqual(['refused', 'refused'])
      const profile = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 }] }
      expect(await script('mkdir /x 2>&1 || true', { privilege: { seccomp: { kind: 'profile', profile } } })).toEqual([expect.stringContaining('not implemented')])
    })

    it('hides and freezes what tells about the host or controls it', async () => {
      expect(await script('wc -c < /proc/keys; ls -A /sys/firmware | wc -l; (echo x > /proc/sys/kernel/core_pattern) 2>/dev/null && echo WRITTEN; for f in /sys/fs/cgroup/*/ /sys/kernel/; do mkdir $f/x 2>/dev/null && echo MADE; done; true')).toEqual(['0', '0'])
    })

    it('has the process settings asked for', async () => {
      const process = { cwd: '/made/here', umask: 0o027, ulimits: [{ name: 'nofile', soft: 100, hard: 200 }], env: ['PATH=/bin', 'A=one two'], oomScoreAdj: 500 }
      expect(await script('pwd; umask; ulimit -n; ulimit -Hn; echo $A; cat /proc/self/oom_score_adj', { process })).toEqual(['/made/here', '0027', '100', '200', 'one two', '500'])
    })

    it('has the mounts asked for', async () => {
      const source = workspace.makeFolder()
      const file = { kind: 'file', target: '/etc/secret', content: Buffer.from('hidden'), mode: 0o400, uid: 5, gid: 6 } as const
      const lines = await script('cat /etc/secret; echo; stat -c "%a %u:%g" /etc/secret; (echo x > /etc/secret) 2>/dev/null || echo kept; echo text > /data/file; (echo x > /ro/file) 2>/dev/null || echo kept; df -k /small | tail -1 | tr -s " " | cut -d" " -f2', {
        mounts: [file, { kind: 'bind', source, target: '/data', readonly: false }, { kind: 'bind', source, target: '/ro', readonly: true }, { kind: 'tmpfs', target: '/small', sizeBytes: 1 << 20 }],
      })
      expect(lines).toEqual(['hidden', '400 5:6', 'kept', 'kept', '1024'])
      expect(readFileSync(join(source, 'file'), 'utf8')).toBe('text\n')
    })

    it('with network none has a loopback that is up, and with host the host\'s', async () => {
      expect(await script('ls /sys/class/net; ping -c1 -W1 127.0.0.1 > /dev/null && echo reached', { isolation: { network: { mode: 'none' } } })).toEqual(['lo', 'reached'])
      expect(await script('ls /sys/class/net | wc -l')).toEqual([String(readdirSync('/sys/class/net').length)])
    })

    it('has a read-only root when asked for', async () => {
      expect(await script('(echo x > /file) 2>/dev/null || echo kept', { privilege: { readonlyRootfs: true } })).toEqual(['kept'])
    })

    it('is stopped by its memory limit, which is named', async () => {
      const { exit } = await run({ args: ['/bin/sh', '-c', 'head -c 100m /dev/zero | tail'], rootfs: rootfs(), executor, limits: { memoryBytes: 32 << 20 } })
      expect(exit.exitCode).not.toBe(0)
      expect(exit.cause).toMatchObject({ limit: 'memory', configured: 32 << 20 })
    })

    it('is gone after an abort, and after the death of whoever started it', async () => {
      const marker = `9${String(process.pid)}${String(Date.now() % 1000)}`
      const spec = { args: ['/bin/sleep', marker], rootfs: rootfs(), executor } as const
      const temporary = workspace.makeFolder()
      await expect(run(spec, AbortSignal.timeout(700))).rejects.toThrow('timeout')
      expect(running(marker)).toBe(false)
      const child = spawn(process.execPath, [join(import.meta.dirname, '..', 'support', 'run-container-child.ts'), JSON.stringify(makeSpec({ ...spec, rootfs: rootfs() }))], { stdio: 'ignore', env: { ...process.env, TMPDIR: temporary } })
      await expect.poll(() => running(marker)).toBe(true)
      child.kill('SIGKILL')
      await expect.poll(() => running(marker)).toBe(false)
      await expect.poll(() => readdirSync(temporary)).toEqual([])
    })
  })
}

function running(marker: string): boolean {
  return readdirSync('/proc').some((pid) => /^\d+$/u.test(pid) && readCommand(pid) === `/bin/sleep\0${marker}\0`)
}

function readCommand(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error) return ''
    throw error
  }
}
