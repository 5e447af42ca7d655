/** The whole way of a real image: Debian's own packages, a registry, and the tools of others. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { useCommand } from '../support/command.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import type { DockerRegistry } from '../support/docker-registry.ts'

const command = useCommand('debian')
const { context, folder, must } = command
let registry: DockerRegistry
let image: string

beforeAll(async () => {
  registry = await startDockerRegistry({ directory: join(folder, 'registry') })
  writeFileSync(join(folder, 'registries.conf'), `[[registry]]\nlocation = "${registry.host}"\ninsecure = true\n`)
  must('import', '-c', 'CMD ["bash"]', debianRootfs(), `${registry.host}/debian:base`)
  must('push', '-q', `${registry.host}/debian:base`)
  must('rmi', `${registry.host}/debian:base`)
  image = `${registry.host}/app:1`
  const path = context('app', {
    Dockerfile: `FROM ${registry.host}/debian:base
RUN --network=host apt-get update && apt-get install -y --no-install-recommends figlet && rm -rf /var/lib/apt/lists/*
ENV WHO=debian
WORKDIR /srv
COPY --chown=games:games banner.sh .
USER games
CMD ["sh", "./banner.sh"]
`,
    'banner.sh': 'id -un; figlet "$WHO"\n',
  })
  must('build', '-q', '--allow', 'network.host', '-t', image, path)
})
afterAll(async () => { await registry[Symbol.asyncDispose]() })

/** Made once on a machine: it takes a minute. */
function debianRootfs(): string {
  const tar = join(tmpdir(), 'tsbuild-e2e-debian.tar')
  if (existsSync(tar)) return tar
  const root = join(folder, 'debian')
  execFileSync('debootstrap', ['--variant=minbase', 'bookworm', root, 'http://deb.debian.org/debian'], { stdio: ['ignore', 'ignore', 'inherit'] })
  for (const conf of readAptConf()) writeFileSync(join(root, 'etc/apt/apt.conf.d', conf.name), conf.text)
  execFileSync('tar', ['--sort=name', '--numeric-owner', '--exclude=./var/cache/apt/archives/*.deb', '-C', root, '-cf', `${tar}.new`, '.'])
  renameSync(`${tar}.new`, tar)
  rmSync(root, { recursive: true, force: true })
  return tar
}

/** Where the machine reaches its mirror through a proxy, so must the image. */
function readAptConf(): { name: string; text: string }[] {
  const dump = execFileSync('apt-config', ['dump', '--format', '%F "%v";%n', 'Acquire::http::Proxy'], { encoding: 'utf8' }).trim()
  return dump === '' ? [] : [{ name: '99proxy', text: `${dump}\n` }]
}

describe('an image built on Debian', () => {
  it('runs here', () => {
    expect(must('run', '--network', 'none', image)).toMatch(/^games\n[^]*_/u)
  })

  it('is pushed, read by skopeo and unpacked by umoci to the same files, environment, user and command', () => {
    must('push', '-q', image)
    const inspected = JSON.parse(execFileSync('skopeo', ['inspect', '--config', '--tls-verify=false', `docker://${image}`], { encoding: 'utf8' })) as { config: { Env: string[]; User: string; Cmd: string[]; WorkingDir: string } }
    expect(inspected.config).toMatchObject({ User: 'games', Cmd: ['sh', './banner.sh'], WorkingDir: '/srv' })
    expect(inspected.config.Env).toContain('WHO=debian')
    const layout = join(folder, 'layout')
    execFileSync('skopeo', ['copy', '-q', '--src-tls-verify=false', `docker://${image}`, `oci:${layout}:app`])
    const bundle = join(folder, 'bundle')
    execFileSync('umoci', ['unpack', '--image', `${layout}:app`, bundle], { stdio: 'ignore' })
    expect(readFileSync(join(bundle, 'rootfs/srv/banner.sh'), 'utf8')).toBe('id -un; figlet "$WHO"\n')
    expect(execFileSync('stat', ['-c', '%U %a', join(bundle, 'rootfs/srv/banner.sh')], { encoding: 'utf8' })).toBe('games 644\n')
    expect(existsSync(join(bundle, 'rootfs/usr/bin/figlet-figlet'))).toBe(true)
    const list = execFileSync('chroot', [join(bundle, 'rootfs'), 'dpkg', '-l', 'figlet'], { encoding: 'utf8' })
    expect(list).toMatch(/^ii {2}figlet/mu)
    expect(listTree(join(bundle, 'rootfs'))).toEqual(treeInContainer())
  })

  it('comes back from the registry as the same image', () => {
    const [before] = JSON.parse(must('inspect', image)) as { Id: string }[]
    must('rmi', image)
    must('pull', '-q', image)
    const [after] = JSON.parse(must('inspect', image)) as { Id: string }[]
    expect(after?.Id).toBe(before?.Id)
    expect(must('run', '--network', 'none', image)).toMatch(/^games\n/u)
  })
})

const find = ['.', '-xdev', '-mindepth', '1', '-path', './dev/*', '-prune', '-o', '-path', './proc/*', '-prune', '-o', '-path', './sys/*', '-prune', '-o', '-printf', String.raw`%P %y %m %U:%G %l\n`]

function listTree(root: string): string[] {
  return sorted(execFileSync('find', find, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 }))
}

function treeInContainer(): string[] {
  return sorted(must('run', '--network', 'none', '--user', 'root', '--workdir', '/', image, 'find', ...find))
}

/** Files that every container gets of its own are left out. */
function sorted(listing: string): string[] {
  return listing.split('\n').map((line) => line.trimEnd()).filter((line) => line !== '' && !/^(?:etc\/(?:hosts|resolv\.conf|hostname)|proc|sys|dev) /u.test(line)).sort()
}
