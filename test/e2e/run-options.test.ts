import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'

const line = useCommand('run-options')
const { must, run, folder, context } = line

beforeAll(() => { importBusybox(line) })

const inside = (options: readonly string[], script: string): string[] => must('run', ...options, 'busybox', 'sh', '-c', script).split('\n')

describe('tsbuild run', () => {
  it('takes Docker\'s options of privilege', () => {
    const profile = join(folder, 'profile.json')
    writeFileSync(profile, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 30 }] }))
    expect(inside(['--cap-drop', 'ALL', '--cap-add', 'chown', '--security-opt', 'no-new-privileges', '--umask', '0077', '--oom-score-adj', '300', '--group-add', '42'],
      'sed -n "s/^CapEff:.//p;s/^NoNewPrivs:.//p;s/^Groups:.//p" /proc/self/status; umask; cat /proc/self/oom_score_adj')).toEqual(['0 42 ', '0000000000000001', '1', '0077', '300'])
    expect(inside(['--security-opt', 'seccomp=unconfined'], 'sed -n "s/^Seccomp:.//p" /proc/self/status')).toEqual(['0'])
    expect(inside(['--security-opt', `seccomp=${profile}`], 'mkdir /x 2>&1; true')[0]).toContain('Read-only')
    expect(inside(['--privileged'], 'sed -n "s/^Seccomp:.//p" /proc/self/status; grep -c " /proc/sys " /proc/self/mountinfo; true')).toEqual(['0', '0'])
    expect(inside(['--read-only', '--tmpfs', '/mem:size=64k,mode=700'], 'touch /x 2> /dev/null || echo read-only; stat -c %a /mem; touch /mem/x && echo written')).toEqual(['read-only', '700', 'written'])
    expect(inside(['--ulimit', 'nofile=100:200', '--shm-size', '1m', '--sysctl', 'kernel.msgmax=1234', '-h', 'box', '--domainname', 'example.org'],
      'ulimit -n; ulimit -Hn; df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2; cat /proc/sys/kernel/msgmax; hostname; cat /proc/sys/kernel/domainname')).toEqual(['100', '200', '1024', '1234', 'box', 'example.org'])
    expect(inside(['--device', '/dev/net/tun:/dev/tunnel:r', '-v', `${folder}:/host:ro`], '(exec 3< /dev/tunnel) && echo opened; ls /host | grep profile; touch /host/x 2> /dev/null || echo read-only')).toEqual(['opened', 'profile.json', 'read-only'])
  })

  it('takes Docker\'s options of limits and namespaces', () => {
    expect(inside(['-m', '64m', '--cpus', '0.5', '-c', '512', '--cpuset-cpus', '0', '--pids-limit', '77'],
      'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.shares cpuset/cpuset.cpus pids/pids.max')).toEqual([String(64 << 20), String(128 << 20), '50000', '512', '0', '77'])
    expect(inside(['--pid', 'host', '--uts', 'host', '--time-offset', 'boottime=864000'], 'ls -d /proc/[0-9]* | wc -l; cut -d. -f1 /proc/uptime').map(Number).every((number) => number > 3)).toBe(true)
    expect(inside(['--add-host', 'db:10.1.2.3', '--dns', '9.9.9.9', '--dns-search', 'example.org'], 'grep -w db /etc/hosts; cat /etc/resolv.conf')).toEqual(['10.1.2.3\tdb', 'nameserver 9.9.9.9', 'search example.org'])
  })

  it.each([
    [['--security-opt', 'seccomp=/no/such'], 1], [['--security-opt', 'magic'], 2], [['--security-opt', 'apparmor=docker-default'], 1], [['--ulimit', 'nofile'], 2], [['--cap-add', 'FLY'], 1],
    [['--privileged', '--cap-drop', 'ALL'], 1], [['--tmpfs', '/x:colour=red'], 2], [['-v', 'relative:/x'], 2], [['--device', '/etc/passwd'], 1], [['--sysctl', 'kernel.core_pattern=x'], 1],
    [['--network', 'moon'], 2], [['--pid', 'container:nobody'], 3], [['-p', '80'], 2], [['-p', '70000:80'], 2], [['-p', '80-82:90-91'], 2], [['-p', '82-80:82-80'], 2], [['-p', '80:80/sctp'], 2], [['-p', '1.2.3.400:80:80'], 2], [['--network', 'private'], 6], [['--network', 'host', '-p', '8080:80'], 6], [['--device-write-bps', '/dev/null:1m'], 6], [['--cpuset-cpus', '4000'], 6],
    [['--time-offset', 'wall=3'], 2], [['--memory-swap', '1g'], 2], [['--umask', '99'], 2], [['--add-host', 'db:nowhere'], 2],
  ])('refuses %j', (options, exitCode) => {
    expect(run('run', ...options, 'busybox', 'true')).toMatchObject({ exitCode, stdout: '' })
  })
})

describe('tsbuild build', () => {
  it('gives its steps the same options', () => {
    const path = context('options', { Dockerfile: 'FROM busybox\nRUN sed -n "s/^CapEff:.//p;s/^Seccomp:.//p" /proc/self/status > /out; ulimit -n >> /out; cat /sys/fs/cgroup/pids/pids.max >> /out; grep -w db /etc/hosts >> /out; ls /sys/class/net >> /out\n' })
    must('build', '-q', '-t', 'options', '--cap-add', 'NET_ADMIN', '--security-opt', 'seccomp=unconfined', '--ulimit', 'nofile=123', '--add-host', 'db:10.1.2.3', '--network', 'bridge', path)
    expect(must('run', 'options', 'cat', '/out').split('\n')).toEqual(['00000000a80435fb', '0', '123', '4096', '10.1.2.3\tdb', 'eth0', 'lo'])
  })

  it('gives up when it takes too long, as a whole or in one step', () => {
    const path = context('slow', { Dockerfile: 'FROM busybox\nRUN sleep 60\n' })
    expect(run('build', '--timeout', '1s', path)).toMatchObject({ exitCode: 124 })
    const step = run('build', '--step-timeout', '500ms', path)
    expect(step.exitCode).toBe(143)
    expect(step.stderr).toContain('ran out of time')
  })
})
