import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'

const line = useCommand('hostile-config')
const { must, run, folder, context } = line

interface Described { digest: string; size: number; annotations?: Record<string, string> }

/** What other engines have taken for settings of the container. */
const wishes: Readonly<Record<string, string>> = {
  'io.podman.annotations.privileged': 'TRUE', 'io.podman.annotations.seccomp': 'unconfined', 'io.podman.annotations.userns': 'host', 'io.containers.capabilities': 'SYS_ADMIN,SYS_PTRACE',
  'run.oci.keep_original_groups': '1', 'run.oci.handler': 'krun', 'run.oci.hooks.stderr': '/dev/null', 'org.systemd.property.ExecStartPre': '/bin/true', 'org.criu.checkpoint.path': '/',
  'io.kubernetes.cri-o.Devices': '/dev/kmsg', 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined', 'io.containerd.runtime-options': 'binary:///bin/true', 'com.docker.security-opt': 'seccomp=unconfined',
}

const hostConfig = { Privileged: true, NetworkMode: 'host', PidMode: 'host', IpcMode: 'host', UTSMode: 'host', CapAdd: ['ALL'], Binds: ['/:/host'], SecurityOpt: ['seccomp=unconfined'], Devices: [{ PathOnHost: '/dev/kmsg', PathInContainer: '/dev/kmsg', CgroupPermissions: 'rwm' }], ReadonlyPaths: [], MaskedPaths: [], Sysctls: { 'net.ipv4.ip_forward': '1' } }

/** The same image, with every wish there is a place for in its config, its manifest and its index. */
function loadHostileTwin(): void {
  const layout = join(folder, 'layout')
  mkdirSync(layout)
  must('save', '-o', join(folder, 'plain.tar'), 'busybox')
  execFileSync('tar', ['xf', join(folder, 'plain.tar'), '-C', layout])
  const read = (file: string): Record<string, unknown> => JSON.parse(readFileSync(join(layout, file), 'utf8')) as Record<string, unknown>
  const blob = ({ digest }: Described): string => join('blobs/sha256', digest.replace('sha256:', ''))
  const write = (document: object, described: Described): void => {
    const bytes = JSON.stringify(document)
    Object.assign(described, { digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, size: Buffer.byteLength(bytes) })
    writeFileSync(join(layout, blob(described)), bytes)
  }
  const index = read('index.json') as { manifests: [Described] }
  const [described] = index.manifests
  const manifest = read(blob(described)) as { config: Described; annotations?: object; layers: Described[] }
  const config = read(blob(manifest.config)) as { config: object }
  const settings = {
    ...config.config, Labels: wishes, StopSignal: 'SIGKILL', Shell: ['/bin/sh', '-c'], Healthcheck: { Test: ['CMD-SHELL', 'touch /checked'], Interval: 1_000_000 }, NetworkDisabled: true, MacAddress: '02:00:00:00:00:01',
    Hostname: 'chosen', Domainname: 'chosen', AttachStdin: true, OpenStdin: true, Tty: true, HostConfig: hostConfig, Privileged: true, CapAdd: ['ALL'], Volumes: {}, OnBuild: [],
  }
  write({ ...config, config: settings, host_config: hostConfig, HostConfig: hostConfig, container_config: settings, hooks: { prestart: [{ path: '/bin/true' }] }, linux: { namespaces: [], seccomp: null }, process: { capabilities: { bounding: ['CAP_SYS_ADMIN'] } } }, manifest.config)
  for (const each of [manifest.config, ...manifest.layers]) each.annotations = { ...wishes }
  write({ ...manifest, annotations: wishes }, described)
  described.annotations = { ...described.annotations, ...wishes, 'org.opencontainers.image.ref.name': 'hostile', 'io.containerd.image.name': 'docker.io/library/hostile:latest' }
  writeFileSync(join(layout, 'index.json'), JSON.stringify({ ...index, annotations: wishes }))
  execFileSync('tar', ['cf', join(folder, 'hostile.tar'), '-C', layout, '.'])
  must('load', '-i', join(folder, 'hostile.tar'))
}

/** All that a process can see of how it is confined, but for what differs each time: SigQ counts the signals of all processes of the user. */
const look = [
  'grep -E "^(Uid|Gid|Groups|NSpid|Cap|NoNewPrivs|Seccomp|Sig[^Q])" /proc/self/status', 'cut -d" " -f 4- /proc/self/mountinfo | sed "s/ [0-9]* -.* overlay .*/ overlay/;s/[0-9a-f]\\{12,\\}/ID/g"', 'ls -l /dev | sed "s/[0-9][0-9]:[0-9][0-9]//"',
  'ls /sys/class/net', 'cat /proc/self/limits /proc/self/oom_score_adj /proc/sys/net/ipv4/ip_forward', 'env | grep -v HOSTNAME | sort', 'hostname | tr 0-9a-f x', 'umask', 'ls /', 'ls -l /proc/self/fd | wc -l', 'cut -d: -f 2,3 /proc/self/cgroup',
].join('; ')

beforeAll(() => {
  importBusybox(line)
  loadHostileTwin()
})

describe('what an image says of itself', () => {
  it('changes nothing of how its containers are confined', () => {
    expect(must('inspect', 'hostile')).toContain('io.podman.annotations.privileged')
    const plain = must('run', 'busybox', 'sh', '-c', look)
    expect(plain).toContain('CapEff:\t00000000a80425fb')
    expect(must('run', 'hostile', 'sh', '-c', look)).toBe(plain)
  })

  it('changes nothing of how steps on top of it are', () => {
    const built = (image: string): string => {
      const path = context(image, { Dockerfile: `FROM ${image}\nRUN (${look}) > /seen\n` })
      must('build', '-t', `built-${image}`, path)
      return must('run', `built-${image}`, 'cat', '/seen')
    }
    expect(built('hostile')).toBe(built('busybox'))
  })

  it('cannot put lines into generated files by its variables', () => {
    const path = context('home', { Dockerfile: 'FROM hostile\nENV HOME="/h\\nroot2:x:0:0::/:/bin/sh" USER="x\\nroot3" HOSTNAME="evil\\n1.2.3.4 registry"\nRUN cat /etc/hosts /etc/hostname /etc/resolv.conf /etc/passwd > /seen 2> /dev/null; true\n' })
    must('build', '-t', 'home', path)
    expect(must('run', 'home', 'cat', '/seen')).not.toMatch(/root2|root3|evil|1\.2\.3\.4/u)
    expect(run('run', 'home', 'sh', '-c', 'cat /etc/hosts /etc/hostname /etc/passwd 2> /dev/null').stdout).not.toMatch(/root2|root3|evil|1\.2\.3\.4/u)
  })
})
