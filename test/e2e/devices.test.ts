import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Outcome } from '../support/command.ts'
import { importBusybox, useCommand } from '../support/command.ts'

const command = useCommand('devices')
const { run, folder } = command
const specs = join(folder, 'cdi')
let builds = 0

beforeAll(() => {
  importBusybox(command)
  mkdirSync(specs)
  mkdirSync(join(folder, 'library'))
  writeFileSync(join(folder, 'library', 'driver.so'), 'driver')
  writeFileSync(join(specs, 'loop.json'), JSON.stringify({
    cdiVersion: '0.6.0', kind: 'vendor.example/zero', containerEdits: { env: ['FROM_FILE=yes'] },
    devices: [
      { name: 'a', containerEdits: { env: ['ZERO=a'], deviceNodes: [{ path: '/dev/extra/zero', hostPath: '/dev/zero', permissions: 'r', fileMode: 0o640, uid: 3, gid: 4 }], additionalGids: [77] } },
      { name: 'b', annotations: { 'org.mobyproject.buildkit.device.class': 'second', 'org.mobyproject.buildkit.device.autoallow': 'true' }, containerEdits: { mounts: [{ hostPath: join(folder, 'library'), containerPath: '/opt/driver', options: ['ro', 'nosuid', 'nodev', 'rbind'] }] } },
      { name: 'hooked', containerEdits: { hooks: [{ hookName: 'createContainer', path: '/bin/true' }] } },
    ],
  }))
  writeFileSync(join(specs, 'env.yaml'), 'cdiVersion: "0.6.0"\nkind: "other.example/env"\ndevices:\n- name: foo\n  containerEdits:\n    env:\n    - FOO=injected\n')
})

function build(step: string, ...options: readonly string[]): Outcome {
  builds += 1
  return run('build', '--network', 'none', '--no-cache', '--progress', 'plain', '--cdi-spec-dir', specs, ...options, command.context(`device-${builds}`, { Dockerfile: `FROM busybox\n${step}\nRUN test ! -e /opt/driver && test ! -e /dev/extra && test -z "$FOO"\n` }))
}

describe('RUN --device', () => {
  it('gives a step the nodes, variables, groups and mounts of a device, and the next one nothing of it', () => {
    const node = build('RUN --device=vendor.example/zero=a stat -c "%a %u %g %t" /dev/extra/zero; head -c 3 /dev/extra/zero | wc -c; ! echo x 2>/dev/null >/dev/extra/zero; echo "$ZERO $FROM_FILE"; grep Groups /proc/self/status', '--allow', 'device')
    expect(node.exitCode, node.stderr).toBe(0)
    expect(node.stderr).toMatch(/ 640 3 4 1\n[^]* 3\n[^]* a yes\n[^]*Groups:\t.*\b77\b/u)
    const several = build('RUN --device=name=other.example/env=foo,required --device=vendor.example/zero=second echo "$FOO $(cat /opt/driver/driver.so)"', '--allow', 'device=other.example/env')
    expect(several.exitCode, several.stderr).toBe(0)
    expect(several.stderr).toContain(' injected driver\n')
    expect(build('RUN --device=other.example/env echo "$FOO"', '--allow', 'device=other.example/env=foo').stderr).toContain(' injected\n')
  })

  it('needs to be allowed, unless the specification allows it', () => {
    expect(build('RUN --device=other.example/env=foo true').stderr).toContain('--allow device=other.example/env=foo')
    expect(build('RUN --device=vendor.example/zero=b true').exitCode).toBe(0)
    expect(run('build', '--allow', 'devices', '.').exitCode).toBe(2)
  })

  it('that is not there is refused when it is required, and warned of when it is not', () => {
    const missing = build('RUN --device=vendor.example/zero=none,required=true true', '--allow', 'device')
    expect(missing.exitCode).not.toBe(0)
    expect(missing.stderr).toContain('vendor.example/zero=a, vendor.example/zero=b')
    expect(build('RUN --device=vendor.example/zero=none true', '--allow', 'device')).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('runs without device vendor.example/zero=none') as string })
    const nothing = run('build', '--network', 'none', '--cdi-spec-dir', join(folder, 'absent'), command.context('nothing', { Dockerfile: 'FROM busybox\nRUN --device=a.example/b=c,required true\n' }))
    expect(nothing.stderr).toContain('there is no CDI specification')
    expect(nothing.stderr).toContain('--cdi-spec-dir')
  })

  it('is refused with a reason for what our containers cannot have, and for what names no device', () => {
    expect(build('RUN --device=vendor.example/zero=hooked true', '--allow', 'device').stderr).toContain('--disable-hook=all')
    for (const [written, reason] of [['nothing', 'VENDOR/CLASS=NAME'], ['a/b/c=1', 'VENDOR/CLASS=NAME'], ['a/b=1,requird', '"required"'], ['a/b=1,required=perhaps', 'neither true nor false'], ['a/b=', 'VENDOR/CLASS=NAME']] as const) {
      const { exitCode, stderr } = build(`RUN --device=${written} true`, '--allow', 'device')
      expect(exitCode, written).toBe(1)
      expect(stderr).toContain(reason)
    }
    writeFileSync(join(specs, 'broken.yaml'), 'kind: [')
    expect(build('RUN --device=vendor.example/zero=b true').stderr).toContain('broken.yaml')
  })
})
