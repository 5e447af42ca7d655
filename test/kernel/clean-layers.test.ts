import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { Mount, Rootfs, UpperDirs } from '../../runtime/index.ts'
import { run, runScript } from '../support/container.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const busybox = workspace.makeBusyboxLayer()
afterAll(() => { workspace[Symbol.dispose]() })

const longAgo = new Date('2001-02-03T04:05:06.789Z')

/** An image whose /etc is special in every respect a layer can record, and that lacks all mount points. */
function makeImage(): string {
  const folder = workspace.makeFolder()
  mkdirSync(join(folder, 'etc'))
  writeFileSync(join(folder, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\n')
  chownSync(join(folder, 'etc'), 7, 8)
  chmodSync(join(folder, 'etc'), 0o2751)
  utimesSync(join(folder, 'etc'), longAgo, longAgo)
  utimesSync(folder, longAgo, longAgo)
  return folder
}

const overlay = (lowers: readonly string[], upper: UpperDirs | undefined): Rootfs => ({ kind: 'overlay', lowers: lowers.map((path) => ({ kind: 'directory', path })), upper, xattrs: 'trusted' })
const file = (target: string, text = 'ours\n'): Mount => ({ kind: 'file', target, content: Buffer.from(text), mode: 0o644, uid: 0, gid: 0 })

describe('the upperdir after a run', () => {
  it('is as before when the process changed nothing', async () => {
    const upper = workspace.makeUpper()
    const image = makeImage()
    const before = workspace.describe(upper.upperdir)
    const imageBefore = workspace.describe(image)
    const mounts: Mount[] = [
      file('/etc/resolv.conf'), file('/etc/hosts'), file('/run/secrets/key'),
      { kind: 'tmpfs', target: '/cache/deep/er' },
      { kind: 'bind', source: workspace.makeFolder(), target: '/job/bound', readonly: false },
    ]
    const lines = await runScript('cat /etc/resolv.conf /run/secrets/key; ls -d /cache/deep/er /job/bound', { rootfs: overlay([image, busybox], upper), mounts })
    expect(lines).toEqual(['ours', 'ours', '/cache/deep/er', '/job/bound'])
    expect(workspace.describe(upper.upperdir)).toEqual(before)
    expect(workspace.describe(image)).toEqual(imageBefore)
  })

  it('holds exactly what the process did, beside mount points of ours', async () => {
    const upper = workspace.makeUpper()
    await runScript('umask 027; echo new > /etc/new; rm /etc/passwd; mkdir /made', { rootfs: overlay([makeImage(), busybox], upper), mounts: [file('/etc/resolv.conf'), file('/etc/hosts')] })
    expect(readdirSync(upper.upperdir).sort()).toEqual(['etc', 'made'])
    const entries = workspace.describe(join(upper.upperdir, 'etc')).map((line) => line.replace(/\d+\.\d{9}/u, 'TIME'))
    expect(entries).toEqual(['. 42751 7:8 0 TIME', './new 100640 0:8 4 TIME', './passwd 20000 0:0 0 TIME'])
  })

  it('keeps the time of a folder that the process only set an attribute of', async () => {
    const upper = workspace.makeUpper()
    const image = makeImage()
    const etc = workspace.describe(image).find((line) => line.startsWith('./etc '))
    await runScript('chmod 700 /etc', { rootfs: overlay([image, busybox], upper), mounts: [file('/etc/resolv.conf')] })
    expect(workspace.describe(upper.upperdir).slice(1)).toEqual([etc?.replace('42751', '40700')])
  })

  it('is the same whether or not the image has the mount points', async () => {
    const complete = makeImage()
    for (const name of ['proc', 'dev', 'sys', 'run', 'run/secrets', 'tmp']) mkdirSync(join(complete, name))
    for (const name of ['etc/resolv.conf', 'run/secrets/key']) writeFileSync(join(complete, name), '')
    const script = 'echo 1 > /tmp1; mkdir -p /var/lib/x; echo 2 > /var/lib/x/y'
    const uppers = [workspace.makeUpper(), workspace.makeUpper()] as const
    await runScript(script, { rootfs: overlay([complete, busybox], uppers[0]), mounts: [file('/etc/resolv.conf'), file('/run/secrets/key')] })
    await runScript(script, { rootfs: overlay([makeImage(), busybox], uppers[1]), mounts: [file('/etc/resolv.conf'), file('/run/secrets/key')] })
    const [first, second] = uppers.map((upper) => workspace.describe(upper.upperdir).map((line) => line.replace(/\d+\.\d{9}/u, 'TIME')))
    expect(first).toEqual(second)
  })

  it('can be run on again', async () => {
    const { upperdir } = workspace.makeUpper()
    for (const step of [1, 2, 3]) {
      const { workdir } = workspace.makeUpper()
      const moved = join(upperdir, '..', `work-${step}`)
      mkdirSync(moved)
      expect(existsSync(workdir)).toBe(true)
      await runScript(`cat /etc/count 2>/dev/null; echo ${step} >> /etc/count`, { rootfs: overlay([makeImage(), busybox], { upperdir, workdir: moved }), mounts: [file('/etc/resolv.conf')] })
    }
    expect(readFileSync(join(upperdir, 'etc/count'), 'utf8')).toBe('1\n2\n3\n')
    expect(readdirSync(join(upperdir, 'etc'))).toEqual(['count'])
  })
})

describe('mount targets', () => {
  it('follow links of the image inside the root only', async () => {
    const image = makeImage()
    const canary = workspace.makeFolder()
    const upper = workspace.makeUpper()
    symlinkSync('../run/systemd/resolve/stub-resolv.conf', join(image, 'etc/resolv.conf'))
    mkdirSync(join(image, 'var'))
    symlinkSync('/run', join(image, 'var/run'))
    symlinkSync(`../../../../../..${canary}`, join(image, 'up'))
    symlinkSync(canary, join(image, 'absolute'))
    const mounts = [file('/etc/resolv.conf', 'a\n'), file('/var/run/x/key', 'b\n'), file('/up/file', 'c\n'), file('/absolute/other', 'd\n')]
    const lines = await runScript(`cat /run/systemd/resolve/stub-resolv.conf /run/x/key ${canary}/file ${canary}/other; readlink /etc/resolv.conf`, { rootfs: overlay([image, busybox], upper), mounts })
    expect(lines).toEqual(['a', 'b', 'c', 'd', '../run/systemd/resolve/stub-resolv.conf'])
    expect(readdirSync(canary)).toEqual([])
    expect(readdirSync(upper.upperdir)).toEqual([])
  })

  it('may lie in each other, in the order given', async () => {
    const upper = workspace.makeUpper()
    const mounts: Mount[] = [{ kind: 'tmpfs', target: '/outer' }, file('/outer/a/inner', 'in\n'), { kind: 'tmpfs', target: '/outer/b', mode: 0o700, sizeBytes: 65_536 }]
    expect(await runScript('cat /outer/a/inner; stat -c %a /outer /outer/b; df -k /outer/b | tail -1 | tr -s " " | cut -d" " -f2', { rootfs: overlay([busybox], upper), mounts })).toEqual(['in', '1777', '700', '64'])
    expect(readdirSync(upper.upperdir)).toEqual([])
  })

  it('are refused in the kernel\'s filesystems, also behind a link', async () => {
    const image = makeImage()
    symlinkSync('/proc', join(image, 'job'))
    await expect(run({ args: ['/bin/true'], rootfs: overlay([image, busybox], workspace.makeUpper()), mounts: [{ kind: 'tmpfs', target: '/job/sys' }] }))
      .rejects.toMatchObject({ code: 'RUNTIME_CONTAINER_SETUP_FAILED', stage: 'mount', errnoName: 'EPERM', object: '/job/sys' })
    await expect(run({ args: ['/bin/true'], rootfs: overlay([busybox], workspace.makeUpper()), mounts: [{ kind: 'tmpfs', target: '/proc//x' }] })).rejects.toMatchObject({ code: 'RUNTIME_INVALID_SPEC', field: 'mounts[0].target' })
  })

  it('are refused at the root, also behind a link', async () => {
    const image = makeImage()
    symlinkSync('../..', join(image, 'etc/up'))
    for (const target of ['/etc/up', '/etc/..']) {
      await expect(run({ args: ['/bin/true'], rootfs: overlay([image, busybox], workspace.makeUpper()), mounts: [{ kind: 'tmpfs', target }] }))
        .rejects.toMatchObject({ code: 'RUNTIME_CONTAINER_SETUP_FAILED', stage: 'mount', errnoName: 'EPERM', object: target })
    }
  })

  it('of a loop of links are refused', async () => {
    const image = makeImage()
    symlinkSync('b', join(image, 'a'))
    symlinkSync('a', join(image, 'b'))
    await expect(run({ args: ['/bin/true'], rootfs: overlay([image, busybox], workspace.makeUpper()), mounts: [{ kind: 'tmpfs', target: '/a/x' }] }))
      .rejects.toMatchObject({ stage: 'mount points', errnoName: 'ELOOP' })
  })
})

describe('missing mount points', () => {
  it('are seen through whiteouts and opaque folders of the layers', async () => {
    const canary = workspace.makeFolder()
    const bottom = workspace.makeFolder()
    const top = workspace.makeFolder()
    mkdirSync(join(bottom, 'opaque'))
    symlinkSync(canary, join(bottom, 'opaque/link'))
    symlinkSync(canary, join(bottom, 'gone'))
    writeFileSync(join(bottom, 'shadowed'), 'a file')
    mkdirSync(join(top, 'opaque'))
    writeFileSync(join(top, 'opaque/kept'), '')
    workspace.setAttribute(join(top, 'opaque'), 'trusted.overlay.opaque', 'y')
    workspace.makeWhiteout(join(top, 'gone'))
    mkdirSync(join(top, 'shadowed'))
    const upper = workspace.makeUpper()
    const mounts = [file('/opaque/link/a', '1\n'), file('/gone/b', '2\n'), file('/shadowed/c', '3\n')]
    expect(await runScript(`cat /opaque/link/a /gone/b /shadowed/c; ls /opaque; ls -d ${canary} 2> /dev/null; true`, { rootfs: overlay([top, bottom, busybox], upper), mounts })).toEqual(['1', '2', '3', 'kept', 'link'])
    expect(readdirSync(upper.upperdir)).toEqual([])
  })

  it('are not made in an upperdir that hides ours', async () => {
    const image = makeImage()
    const { upperdir } = workspace.makeUpper()
    const again = (name: string): UpperDirs => {
      mkdirSync(join(upperdir, '..', name))
      return { upperdir, workdir: join(upperdir, '..', name) }
    }
    await runScript('rm -r /etc', { rootfs: overlay([image, busybox], again('first')) })
    const before = workspace.describe(upperdir)
    await expect(run({ args: ['/bin/true'], rootfs: overlay([image, busybox], again('second')), mounts: [file('/etc/hosts')] }))
      .rejects.toMatchObject({ code: 'RUNTIME_CONTAINER_SETUP_FAILED', stage: 'mount', errnoName: 'ENOENT', object: '/etc/hosts' })
    expect(workspace.describe(upperdir)).toEqual(before)
  })

  it('lie in folders with the attributes of the image\'s', async () => {
    const image = makeImage()
    workspace.setAttribute(join(image, 'etc'), 'user.mark', 'of the image')
    workspace.setAttribute(join(image, 'etc'), 'trusted.overlay.overlay.opaque', 'escaped')
    const upper = workspace.makeUpper()
    await runScript('echo x > /etc/new', { rootfs: overlay([image, busybox], upper), mounts: [file('/etc/hosts')] })
    const [, etc = ''] = workspace.describe(upper.upperdir)
    expect(etc).toMatch(/ trusted\.overlay\.overlay\.opaque=escaped/u)
    expect(etc).toMatch(/ user\.mark=of the image/u)
  })
})

describe('a mount', () => {
  it('of a folder shows and changes the source', async () => {
    const source = workspace.makeFolder()
    writeFileSync(join(source, 'there'), 'before\n')
    const mount = { kind: 'bind', source, target: '/src' } as const
    await runScript('cat /src/there; echo after > /src/there', { rootfs: overlay([busybox], workspace.makeUpper()), mounts: [{ ...mount, readonly: false }] })
    expect(readFileSync(join(source, 'there'), 'utf8')).toBe('after\n')
    const { exit } = await run({ args: ['/bin/sh', '-c', 'echo x > /src/there'], rootfs: overlay([busybox], workspace.makeUpper()), mounts: [{ ...mount, readonly: true }] })
    expect(exit.exitCode).toBe(1)
    expect(readFileSync(join(source, 'there'), 'utf8')).toBe('after\n')
  })

  it('does not take a link as its source', async () => {
    const folder = workspace.makeFolder()
    symlinkSync('/etc', join(folder, 'link'))
    await expect(run({ args: ['/bin/true'], rootfs: overlay([busybox], workspace.makeUpper()), mounts: [{ kind: 'bind', source: join(folder, 'link'), target: '/src', readonly: true }] }))
      .rejects.toMatchObject({ stage: 'mount', errnoName: 'ELOOP', object: join(folder, 'link') })
  })

  it('of a file has its owner and mode and cannot be written', async () => {
    const secret: Mount = { kind: 'file', target: '/run/secret', content: Buffer.from('s3cret'), mode: 0o400, uid: 12, gid: 34 }
    expect(await runScript('stat -c "%a %u:%g" /run/secret; cat /run/secret; echo; (echo x > /run/secret) 2>&1; true', { rootfs: overlay([busybox], workspace.makeUpper()), mounts: [secret] }))
      .toEqual(['400 12:34', 's3cret', expect.stringContaining('Read-only')])
  })
})

describe('a root', () => {
  it.each(['trusted', 'user'] as const)('records removals in %s attributes', async (xattrs) => {
    const upper = workspace.makeUpper()
    await runScript('rm -r /etc && mkdir /etc', { rootfs: { kind: 'overlay', lowers: [makeImage(), busybox].map((path) => ({ kind: 'directory', path })), upper, xattrs } })
    expect(workspace.describe(upper.upperdir)[1]).toMatch(new RegExp(`^\\./etc 40755 .* ${xattrs}\\.overlay\\.opaque=y$`, 'u'))
  })

  it('without an upperdir is a read-only view', async () => {
    expect(await runScript('cat /etc/passwd; mkdir /x 2>&1; cat /etc/hosts; true', { rootfs: overlay([makeImage(), busybox], undefined), mounts: [file('/etc/hosts')] }))
      .toEqual(['root:x:0:0::/:/bin/sh', expect.stringContaining('Read-only'), 'ours'])
    expect(await runScript('stat -c %Y /; ls /', { rootfs: overlay([busybox], undefined) })).toContain('bin')
  })

  it('can be read-only for the process alone', async () => {
    expect(await runScript('mkdir /x 2>&1; echo ok > /dev/shm/f; mkdir /var/tmp/y; echo done', { rootfs: overlay([busybox], workspace.makeUpper()), mounts: [{ kind: 'tmpfs', target: '/var/tmp' }], privilege: { readonlyRootfs: true } }))
      .toEqual([expect.stringContaining('Read-only'), 'done'])
  })

  it('can be empty', async () => {
    const upper = workspace.makeUpper()
    const { stdout } = await run({ args: ['/program', 'cwd'], rootfs: overlay([], upper), mounts: [{ kind: 'bind', source: join(busybox, 'bin/probe'), target: '/program', readonly: true }] })
    expect(stdout).toBe('/\n')
    expect(readdirSync(upper.upperdir)).toEqual([])
  })

  it('can have more layers than fit into one page of mount options', async () => {
    const lowers = Array.from({ length: 300 }, (_, index) => {
      const folder = workspace.makeFolder()
      writeFileSync(join(folder, `file-${index}`), '')
      return folder
    })
    expect(await runScript('ls / | grep -c file-', { rootfs: overlay([...lowers, busybox], workspace.makeUpper()) })).toEqual(['300'])
  })

  it('can be a plain folder, in which missing mount points are made', async () => {
    const path = workspace.makeBusyboxLayer()
    expect(await runScript('cat /etc/hosts; echo x > /made', { rootfs: { kind: 'directory', path }, mounts: [file('/etc/hosts')] })).toEqual(['ours'])
    expect(readdirSync(path).sort()).toEqual(['bin', 'dev', 'etc', 'made', 'proc', 'sys'])
  })

  it('does not follow what a layer says about other names', async () => {
    const layer = workspace.makeFolder()
    mkdirSync(join(layer, 'shown'))
    workspace.setAttribute(join(layer, 'shown'), 'trusted.overlay.redirect', '/etc')
    const { exit } = await run({ args: ['/bin/ls', '/shown'], rootfs: overlay([layer, makeImage(), busybox], workspace.makeUpper()) })
    expect(exit.exitCode).not.toBe(0)
  })
})
