import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, leftovers, orphanedHelpers, useCommand } from '../support/command.ts'
import { findFreePorts } from '../support/free-ports.ts'

const line = useCommand('detached')
const { must, run, context } = line

beforeAll(() => { importBusybox(line) })

const program = join(import.meta.dirname, '../../bin/tsbuild.cjs')

interface Listed { readonly id: string; readonly name: string; readonly state: string; readonly initPid?: number; readonly end?: { readonly exitCode: number; readonly reason?: string } }
const list = (): Listed[] => JSON.parse(must('ps', '-a', '--json')) as Listed[]
const state = (name: string): string | undefined => list().find((container) => container.name === name)?.state

describe('a detached container', () => {
  it('outlives the command that started it, and any later one finds it', async () => {
    const id = must('run', '-d', '--name', 'one', '-m', '64m', 'busybox', 'sh', '-c', 'echo up; echo bad >&2; sleep 600')
    expect(id).toMatch(/^[0-9a-f]{64}$/u)
    expect(must('ps', '-q')).toBe(id.slice(0, 12))
    expect(must('ps')).toMatch(/busybox .*Up .* one$/mu)
    await expect.poll(() => run('logs', 'one')).toEqual({ exitCode: 0, stdout: 'up\n', stderr: 'bad\n' })
  })

  it('takes further commands in, with its namespaces, limits and privileges', () => {
    const inside = must('exec', '-e', 'MORE=1', '-w', '/tmp', 'one', 'sh', '-c', 'pwd; echo $MORE; cat /proc/1/comm; cat /sys/fs/cgroup/memory/memory.limit_in_bytes; sed -n "s/^CapEff:.//p;s/^Seccomp:.//p" /proc/self/status; ls /proc/self/fd | wc -l; hostname; cat /etc/hostname; cut -d: -f3 /proc/self/cgroup | sort -u').split('\n')
    expect(inside.slice(0, 7)).toEqual(['/tmp', '1', 'tsbuild-helper', String(64 << 20), '00000000a80425fb', '2', '4'])
    expect(inside[7]).toBe(inside[8])
    expect(inside.slice(9)).toEqual(['/'])
    expect(run('exec', 'one', 'sh', '-c', 'exit 7').exitCode).toBe(7)
    expect(run('exec', 'one', 'no-such').exitCode).toBe(127)
    expect(run('exec', '-u', '1000', 'one', 'id', '-u').stdout).toBe('1000\n')
    must('exec', 'one', 'sh', '-c', 'mkdir -p /etc; echo web:x:33:34::/:/bin/sh > /etc/passwd; printf "web:x:34:\\nextra:x:77:web\\n" > /etc/group')
    expect(run('exec', '-u', 'web', 'one', 'id').stdout).toMatch(/^uid=33.* gid=34.* groups=34.*,77/u)
    expect(run('exec', '-u', 'web:extra', 'one', 'id', '-g').stdout).toBe('77\n')
    expect(run('exec', '-u', 'stranger', 'one', 'id').stderr).toContain('has no user "stranger"')
    must('exec', 'one', 'sh', '-c', 'ln -sf /etc/shadow /etc/passwd')
    expect(run('exec', '-u', 'web', 'one', 'id')).toMatchObject({ stdout: '', stderr: expect.stringContaining('ELOOP') as string })
    expect(run('exec', 'nobody', 'true')).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('nobody') as string })
  })

  it('is inspected by name, before an image of that name', () => {
    must('tag', 'busybox', 'one')
    const id = list().find(({ name }) => name === 'one')?.id ?? ''
    expect(JSON.parse(must('inspect', 'one'))).toMatchObject([{ Id: id, Name: '/one', Path: 'sh', Image: 'busybox', State: { Status: 'running', Running: true, Pid: list()[0]?.initPid, ExitCode: 0 }, Config: { User: '0:0', WorkingDir: '/' } }])
    expect(must('inspect', '-f', '{{.State.Status}}', id.slice(0, 12))).toBe('running')
    expect(JSON.parse(must('inspect', '--type', 'image', 'one'))).toMatchObject([{ RepoTags: expect.any(Array) as string[] }])
    expect(run('inspect', '--type', 'container', 'busybox')).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('cannot find container "busybox"') as string })
    expect(run('inspect', '--type', 'volume', 'one').exitCode).toBe(2)
    must('rmi', 'one')
  })

  it('is waited for, and its exit code printed', () => {
    for (const [name, code] of [['first', '3'], ['second', '0']] as const) must('run', '-d', '--name', name, 'busybox', 'sh', '-c', `sleep 1; exit ${code}`)
    expect(must('wait', 'first', 'second')).toBe('3\n0')
    expect(must('wait', 'first')).toBe('3')
    expect(run('wait', 'nosuch', 'second')).toMatchObject({ exitCode: 3, stdout: '0\n' })
    must('rm', 'first', 'second')
  })

  it('has its log by time, and none when it is in the foreground', () => {
    must('run', '-d', '--name', 'timed', 'busybox', 'sh', '-c', 'printf "a\\nb"; sleep 1; printf "c\\nd\\n"')
    must('wait', 'timed')
    const lines = must('logs', '-t', 'timed').split('\n')
    expect(lines.map((text) => text.replace(/^20\d\d-\d\d-\d\dT[\d:.]+Z /u, '-'))).toEqual(['-a', '-bc', '-d'])
    const between = new Date(Date.parse(lines[0]?.split(' ')[0] ?? '') + 500).toISOString()
    expect(must('logs', '--since', between, 'timed')).toBe('c\nd')
    expect(must('logs', '--until', between, 'timed')).toBe('a\nb')
    expect(must('logs', '--since', '1h', '--tail', '1', 'timed')).toBe('d')
    expect(run('logs', '--since', 'yesterday', 'timed').exitCode).toBe(2)
  })

  it('is listed by label, image and exit code, and the newest alone', () => {
    must('run', '-d', '--name', 'marked', '--label', 'team=a', '-l', 'plain', 'busybox', 'sh', '-c', 'exit 9')
    must('wait', 'marked')
    const names = (...args: readonly string[]): string => must('ps', '--format', '{{.Names}}', ...args)
    expect([names('-l'), names('-n', '1'), names('-a', '--filter', 'label=team'), names('-a', '--filter', 'label=team=a'), names('-a', '--filter', 'label=plain'), names('--filter', 'exited=9')]).toEqual(Array(6).fill('marked'))
    expect(names('-a', '--filter', 'label=team=b')).toBe('')
    expect(names('-a', '--filter', 'ancestor=busybox:latest')).toContain('marked')
    expect(must('inspect', '-f', '{{json .Config.Labels}}', 'marked')).toBe('{"team":"a","plain":""}')
  })

  it('that has ended is forgotten with all others that have, and none that runs', () => {
    expect(must('container', 'prune', '-f').split('\n').length).toBeGreaterThan(1)
    expect(list().map(({ name }) => name)).toEqual(['one'])
    expect(run('rm', '--ended', 'one').exitCode).toBe(2)
    expect(run('rm').exitCode).toBe(2)
  })

  it('in the foreground is found by its name as long as it runs', async () => {
    const child = line.start('run', '--name', 'near', '--label', 'x=1', '--cidfile', 'near.id', 'busybox', 'sh', '-c', 'trap "exit 5" TERM; echo up; while :; do sleep 0.1; done')
    const ended = once(child, 'exit')
    await once(child.stdout ?? child, 'data')
    expect(must('ps', '-q', '--no-trunc', '--filter', 'name=near')).toBe(readFileSync(join(line.folder, 'near.id'), 'utf8'))
    expect(must('exec', 'near', 'cat', '/proc/1/comm')).toBe('tsbuild-helper')
    expect(run('logs', 'near')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('runs in the foreground') as string })
    expect(run('run', '--name', 'near', 'busybox', 'true')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('another one is called so') as string })
    expect(run('run', '--cidfile', 'near.id', 'busybox', 'true')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('it is there already') as string })
    must('stop', 'near')
    expect(await ended).toEqual([5, null])
    expect(state('near')).toBeUndefined()
  })

  it('in the foreground, when it was killed, leaves its name to the next', async () => {
    const child = line.start('run', '--name', 'gone', 'busybox', 'sh', '-c', 'echo up; sleep 600')
    await once(child.stdout ?? child, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(state('gone')).toBe('lost')
    expect(must('run', '--name', 'gone', 'busybox', 'echo', 'again')).toBe('again')
    expect(state('gone')).toBeUndefined()
  })

  it('has a terminal when asked for, whose output is the log', async () => {
    must('run', '-d', '-t', '--name', 'typed', 'busybox', 'sh', '-c', 'tty; echo $TERM; echo late >&2; sleep 600')
    await expect.poll(() => run('logs', 'typed')).toEqual({ exitCode: 0, stdout: '/dev/pts/0\r\nxterm\r\nlate\r\n', stderr: '' })
    must('stop', '-t', '0', 'typed')
    must('rm', 'typed')
    expect(run('run', '-d', '-i', 'busybox', 'true')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('no standard input') as string })
  })

  it('takes a command in on the terminal that asks for it: its size, its keys and its end', async () => {
    const script = 'tty; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all; stty size; trap "echo caught; exit 9" INT; echo ready; read typed; echo "got $typed"; read more'
    const command = `stty rows 33 cols 77; "${process.execPath}" "${program}" exec -it one sh -c '${script}'; echo "left $?"; stty -a | grep -ow -- "-*icanon"`
    const terminal = spawn('script', ['-qec', command, '/dev/null'], { env: { ...process.env, TSBUILD_ROOT: line.root }, stdio: ['pipe', 'pipe', 'inherit'] })
    const answers = new Map([['ready', 'hello\r'], ['got hello', '\u0003']])
    let screen = ''
    for await (const bytes of terminal.stdout) {
      screen += String(bytes)
      for (const [words, keys] of answers) if (screen.includes(`${words}\r`) && answers.delete(words)) terminal.stdin.write(keys)
    }
    expect(screen.split('\r\n').filter((each) => !/^(?:hello|(?:\^C)?caught)$/u.test(each))).toEqual(['/dev/pts/0', 'all', '33 77', 'ready', 'got hello', 'left 9', 'icanon', ''])
    expect(screen).toContain('caught')
    expect(run('exec', '-t', 'one', 'true')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('needs a terminal') as string })
  })

  it('shares its namespaces with another', () => {
    const net = must('exec', 'one', 'readlink', '/proc/self/ns/net')
    expect(must('run', '--network', 'container:one', '--pid', 'container:one', 'busybox', 'sh', '-c', 'readlink /proc/self/ns/net; cat /proc/1/comm')).toBe(`${net}\ntsbuild-helper`)
  })

  it('ends by stop, at once or after the time given', async () => {
    // Longer than the test may take.
    must('stop', '-t', '600', 'one')
    expect(list()).toMatchObject([{ name: 'one', state: 'ended', end: { exitCode: 143 } }])
    must('run', '-d', '--name', 'stubborn', 'busybox', 'sh', '-c', 'trap "" TERM; echo deaf; while :; do sleep 1; done')
    await expect.poll(() => must('logs', 'stubborn')).toBe('deaf')
    must('stop', '-t', '1', 'stubborn')
    expect(list().find(({ name }) => name === 'stubborn')).toMatchObject({ state: 'ended', end: { exitCode: 137 } })
    expect(run('exec', 'stubborn', 'true').exitCode).toBe(3)
    must('rm', 'one', 'stubborn')
    expect(list()).toEqual([])
  })

  it('is asked to end by the signal of its image, or the one given for it', async () => {
    must('build', '-q', '-t', 'quits', context('quits', { Dockerfile: 'FROM busybox\nSTOPSIGNAL SIGQUIT\n' }))
    const script = 'for s in QUIT USR1 TERM HUP; do trap "echo got $s; exit 0" $s; done; trap "echo got 37; exit 0" 37; echo ready; while :; do sleep 0.1; done'
    for (const [image, options, stopOptions, got] of [['quits', [], [], 'QUIT'], ['quits', ['--stop-signal', 'USR1'], [], 'USR1'], ['quits', [], ['-s', 'HUP'], 'HUP'], ['busybox', [], [], 'TERM'], ['busybox', ['--stop-signal', 'RTMIN+3'], [], '37']] as const) {
      must('run', '-d', '--name', 'asked', ...options, image, 'sh', '-c', script)
      await expect.poll(() => must('logs', 'asked')).toBe('ready')
      must('stop', ...stopOptions, 'asked')
      expect(must('logs', '--tail', '1', 'asked')).toBe(`got ${got}`)
      must('rm', 'asked')
    }
    expect(run('run', '-d', '--stop-signal', 'NONE', 'busybox', 'true')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('no signal') as string })
  })

  it('and others are ended, killed and removed together, whatever is wrong with one of them', () => {
    for (const name of ['first', 'second']) must('run', '-d', '--name', name, 'busybox', 'sleep', '600')
    expect(run('stop', '-t', '0', 'first', 'nobody', 'second')).toMatchObject({ exitCode: 3, stdout: 'first\nsecond\n', stderr: expect.stringContaining('nobody') as string })
    expect(must('stop', 'first')).toBe('first')
    expect(run('kill', 'first', 'second')).toMatchObject({ exitCode: 3, stdout: '' })
    expect(run('rm', 'first', 'nobody', 'second')).toMatchObject({ exitCode: 3, stdout: 'first\nsecond\n' })
    expect(run('rm', '-f', 'nobody')).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('nobody') as string })
    must('run', '-d', '--name', 'third', 'busybox', 'sleep', '600')
    expect(run('kill', '-s', 'CONT', 'nobody', 'third')).toMatchObject({ exitCode: 3, stdout: 'third\n' })
    expect(run('rm', 'third', 'nobody')).toMatchObject({ exitCode: 1, stdout: '' })
    expect(run('rm', '-f', 'nobody', 'third')).toMatchObject({ exitCode: 0, stdout: 'third\n' })
  })

  it('outlives also a command that was killed before it could say so', async () => {
    const asking = line.start('run', '-d', '--name', 'orphan', 'busybox', 'sleep', '600')
    const folder = join(line.root, 'containers')
    const isRecorded = (id: string): boolean => existsSync(join(folder, id, 'record.json')) && readFileSync(join(folder, id, 'record.json'), 'utf8').includes('orphan')
    await expect.poll(() => existsSync(folder) && readdirSync(folder).some(isRecorded), { interval: 1 }).toBe(true)
    asking.kill('SIGKILL')
    await once(asking, 'exit')
    await expect.poll(() => state('orphan')).toBe('running')
    await setTimeout(500)
    expect(state('orphan')).toBe('running')
    must('rm', '-f', 'orphan')
  })

  it('that the kernel does not let go is not called stopped', () => {
    must('run', '-d', '--name', 'frozen', 'busybox', 'sleep', '600')
    const initPid = list().find(({ name }) => name === 'frozen')?.initPid ?? 0
    const pid = readFileSync(`/proc/${initPid}/task/${initPid}/children`, 'utf8').trim()
    const group = join('/sys/fs/cgroup/freezer', `tsbuild-test-${process.pid}`)
    mkdirSync(group)
    try {
      writeFileSync(join(group, 'cgroup.procs'), pid)
      writeFileSync(join(group, 'freezer.state'), 'FROZEN')
      expect(run('stop', '-t', '0', 'frozen')).toMatchObject({ exitCode: 6, stdout: '', stderr: expect.stringContaining(`process ${pid} is still there`) as string })
      expect(state('frozen')).toBe('running')
    } finally {
      writeFileSync(join(group, 'freezer.state'), 'THAWED')
    }
    must('rm', '-f', 'frozen')
    rmdirSync(group)
  })

  it('that is only beginning is not called stopped', async () => {
    const folder = join(line.root, 'containers', 'f'.repeat(64))
    mkdirSync(folder)
    writeFileSync(join(folder, 'record.json'), JSON.stringify({ id: 'f'.repeat(64), name: 'early', image: 'busybox', command: [], createdAtMs: Date.now(), ports: [], isRemovedAtEnd: false }))
    // Which executes the command itself, so that the lock goes with it.
    const supervisor = spawn('flock', ['--no-fork', join(folder, 'lock'), 'sleep', '600'], { stdio: 'ignore' })
    await expect.poll(() => state('early')).toBe('starting')
    expect(run('stop', 'early')).toMatchObject({ exitCode: 3, stdout: '', stderr: expect.stringContaining('it does not run') as string })
    expect(must('ps', '--filter', 'status=created', '--filter', 'status=exited', '--format', '{{.Names}} {{.State}}')).toBe('early created')
    expect(run('ps', '--filter', 'status=begun')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('created, running, exited or dead') as string })
    supervisor.kill()
    await once(supervisor, 'exit')
    rmSync(folder, { recursive: true })
  })

  it('has a log whose end can be asked for', () => {
    must('run', '-d', '--name', 'wordy', 'busybox', 'sh', '-c', 'seq 1 5; printf part >&2; sleep 0.2; printf "s\\nlast" >&2')
    must('logs', '-f', 'wordy')
    expect(['0', '1', '2', '3', '99', 'all'].map((lines) => run('logs', '-n', lines, 'wordy')).map(({ stdout, stderr }) => `${stdout}${stderr}`)).toEqual(['', 'last', 'parts\nlast', '5\nparts\nlast', '1\n2\n3\n4\n5\nparts\nlast', '1\n2\n3\n4\n5\nparts\nlast'])
    expect(run('logs', '-n', 'x', 'wordy').exitCode).toBe(2)
    must('rm', 'wordy')
  })

  it('whose command cannot be executed is one that ended so, and run says it', () => {
    expect(run('run', '-d', '--name', 'missing', 'busybox', 'no-such')).toMatchObject({ exitCode: 127, stdout: expect.stringMatching(/^[0-9a-f]{64}\n$/u) as string, stderr: expect.stringContaining('"no-such" was not found') as string })
    expect(run('run', '-d', 'busybox', '/etc')).toMatchObject({ exitCode: 126 })
    expect(list().find(({ name }) => name === 'missing')).toMatchObject({ state: 'ended', end: { exitCode: 127 } })
    for (const { id } of list()) must('rm', id)
    expect(['a b', '-x', 'x', '/x', 'ä1', ''].map((name) => run('run', '-d', '--name', name, 'busybox', 'true').exitCode)).toEqual([2, 2, 2, 2, 2, 2])
    expect(list()).toEqual([])
  })

  it('gets signals by kill', async () => {
    must('run', '-d', '--name', 'two', 'busybox', 'sh', '-c', 'trap "echo hup; exit 5" HUP; echo ready; while :; do sleep 0.1; done')
    await expect.poll(() => must('logs', 'two')).toBe('ready')
    must('kill', '-s', 'HUP', 'two')
    await expect.poll(() => state('two')).toBe('ended')
    expect(must('logs', '-f', 'two')).toBe('ready\nhup')
    expect(list()).toMatchObject([{ end: { exitCode: 5 } }])
    must('rm', 'two')
  })

  it('says why it ended or could not begin', async () => {
    must('run', '-d', '--name', 'big', '-m', '16m', '--memory-swap', '16m', 'busybox', 'sh', '-c', 'head -c 100m /dev/zero | tail')
    await expect.poll(() => state('big')).toBe('ended')
    expect(list()[0]?.end?.reason).toContain('--memory')
    expect(run('run', '-d', '--name', 'big', 'busybox', 'true')).toMatchObject({ exitCode: 6, stdout: '', stderr: expect.stringContaining('another one is called so') as string })
    expect(run('rm', 'big').exitCode).toBe(0)
    expect(run('run', '-d', '--cap-add', 'FLY', 'busybox', 'true')).toMatchObject({ exitCode: 6, stderr: expect.stringContaining('FLY') as string })
    expect(run('run', '-d', '-i', 'busybox', 'true').exitCode).toBe(2)
    for (const { id } of list()) must('rm', id)
  })

  it('is reached by the ports it publishes', async () => {
    const port = await findFreePorts(1)
    must('run', '-d', '--rm', '--name', 'web', '-p', `127.0.0.1:${port}:80`, 'busybox', 'sh', '-c', 'mkdir /www; echo hello > /www/x; exec httpd -f -p 80 -h /www')
    const fetchText = async (): Promise<string> => fetch(`http://127.0.0.1:${port}/x`).then((response) => response.text()).catch(() => 'refused')
    await expect.poll(fetchText).toBe('hello\n')
    expect(run('run', '-p', `127.0.0.1:${port}:80`, 'busybox', 'true').exitCode).toBe(6)
    expect(run('run', '-p', `${port}:80`, '--network', 'none', 'busybox', 'true').exitCode).toBe(6)
    must('rm', '-f', 'web')
    await expect.poll(fetchText).toBe('refused')
    expect(list()).toEqual([])
  })

  it('is lost with its supervisor, and leaves nothing', async () => {
    must('run', '-d', '--name', 'gone', 'busybox', 'sleep', '600')
    const { initPid = 0 } = list()[0] ?? {}
    const helper = parentOf(initPid)
    process.kill(parentOf(helper), 'SIGKILL')
    await expect.poll(() => state('gone')).toBe('lost')
    await expect.poll(() => [...leftovers(line.root), ...orphanedHelpers()]).toEqual([])
    must('rm', 'gone')
  })
})

function parentOf(pid: number): number {
  return Number(/^PPid:\t(\d+)$/mu.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}
