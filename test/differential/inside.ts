/**
 * npm run test:inside
 * What a process sees of itself under docker run and under tsbuild run with the same flags: capabilities and the other fields of its
 * status, namespaces, network devices, cgroups, mounts, limits. Prints the lines that differ; each is explained in
 * docs/decisions/0090-what-a-process-sees-beside-docker.md. TSBUILD_BENCH_PEERS puts words before docker's commands.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const prefix = (process.env['TSBUILD_BENCH_PEERS'] ?? '').split(' ').filter((word) => word !== '')
const folder = mkdtempSync(join(tmpdir(), 'tsbuild-inside-'))
const command = join(import.meta.dirname, '..', '..', 'bin', 'tsbuild.cjs')
const env = { ...process.env, TSBUILD_ROOT: join(folder, 'store') }

interface Question {
  readonly name: string
  readonly image: 'debian' | 'busybox'
  readonly script: string
}

/** Numbers that no two containers share are left out where they are asked for. */
const questions: readonly Question[] = [
  { name: 'capabilities (capsh --print decodes these)', image: 'debian', script: 'grep ^Cap /proc/self/status; command -v capsh > /dev/null && capsh --print || true' },
  { name: '/proc/self/status', image: 'debian', script: 'grep -E "^(Umask|Uid|Gid|Groups|NoNewPrivs|Seccomp|Seccomp_filters|CoreDumping|SigBlk|SigIgn|SigCgt|THP_enabled|Speculation_Store_Bypass|NSpid|NSpgid|NSsid):" /proc/self/status' },
  { name: 'lsns', image: 'debian', script: 'lsns -n -o TYPE,NPROCS,PID | sort; for kind in cgroup ipc mnt net pid time user uts; do [ "$(readlink /proc/self/ns/$kind)" = "$(readlink /proc/1/ns/$kind)" ] && echo $kind as pid 1; done; true' },
  { name: 'ip addr', image: 'busybox', script: 'ip addr | sed "s/@if[0-9]*//;s/^[0-9]*: //;s/[0-9a-f:]\\{17\\}/MAC/g;s/inet \\(10\\|172\\)[.0-9]*/inet ADDRESS/;s/brd [.0-9]*/brd ADDRESS/"; ip route | sed "s/[0-9.]*\\.[0-9.]*/ADDRESS/g"' },
  { name: '/proc/self/cgroup', image: 'debian', script: 'sed "s/^[0-9]*//" /proc/self/cgroup | sort; ls /sys/fs/cgroup' },
  { name: 'mounts', image: 'debian', script: 'cut -d" " -f5,6 /proc/self/mountinfo | sort; stat -f -c %T / /dev /dev/shm /sys /proc' },
  { name: 'limits', image: 'debian', script: 'ulimit -a; ulimit -Ha; cat /proc/self/oom_score_adj; id; pwd; env | grep -v ^HOSTNAME | sort; ls -l /dev | tr -s " " | cut -d" " -f1,3- | sed "s/ [A-Z][a-z][a-z] .*:[0-9][0-9]//" | sort; ls -l /proc/self/fd | wc -l' },
]

const flags: readonly (readonly string[])[] = [[], ['--user', '33'], ['--cap-drop', 'ALL', '--cap-add', 'NET_ADMIN', '--security-opt', 'no-new-privileges'], ['--privileged'], ['--network', 'none', '--read-only', '-m', '64m', '--pids-limit', '50', '--ulimit', 'nofile=100:200']]

function ask(words: readonly string[], { image, script }: Question, options: readonly string[]): string[] {
  const [file = '', ...args] = words
  const { status, stdout, stderr } = spawnSync(file, [...args, 'run', '--rm', ...options, image, 'sh', '-c', script], { env, encoding: 'utf8' })
  if (status !== 0) return [`failed with ${status}: ${stderr.trim()}`]
  return stdout.split('\n').map((line) => line.trim().replaceAll(/\s+/gu, ' ')).filter((line) => line !== '')
}

function provide(image: Question['image']): void {
  const { status, stdout, stderr } = spawnSync(prefix[0] ?? 'docker', [...(prefix.length > 0 ? [...prefix.slice(1), 'docker'] : []), 'save', image], { maxBuffer: 1 << 30 })
  if (status !== 0) throw new Error(`docker has no image ${image}: ${stderr.toString()}`)
  const loaded = spawnSync(process.execPath, [command, 'load'], { env, input: stdout })
  if (loaded.status !== 0) throw new Error(`cannot load ${image}: ${loaded.stderr.toString()}`)
}

try {
  for (const image of ['debian', 'busybox'] as const) provide(image)
  for (const options of flags) {
    for (const question of questions) {
      const theirs = ask([...prefix, 'docker'], question, options)
      const ours = ask([process.execPath, command], question, options)
      const differences = [...theirs.filter((line) => !ours.includes(line)).map((line) => `  docker   ${line}`), ...ours.filter((line) => !theirs.includes(line)).map((line) => `  tsbuild  ${line}`)]
      process.stdout.write(`${options.join(' ') || 'no flags'}: ${question.name}: ${differences.length === 0 ? 'the same' : `${differences.length} lines differ`}\n`)
      for (const line of differences) process.stdout.write(`${line}\n`)
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
