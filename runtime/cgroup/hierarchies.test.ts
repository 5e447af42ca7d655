import { describe, expect, it } from 'vitest'
import { parseHierarchies } from './hierarchies.ts'

describe('parseHierarchies', () => {
  it('reads a pure v2 host', () => {
    const mountinfo = '30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n'
    expect(parseHierarchies(mountinfo, '0::/user.slice/user-0.slice/session-1.scope\n')).toEqual([
      { kind: 'v2', mountPoint: '/sys/fs/cgroup', controllers: [], ownGroup: '/sys/fs/cgroup/user.slice/user-0.slice/session-1.scope' },
    ])
  })

  it('reads a hybrid host, each controller where it is', () => {
    const mountinfo = [
      '31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755',
      '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct',
      '35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory',
      '40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd',
      '41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw',
    ].join('\n')
    const own = '9:name=systemd:/\n4:memory:/a/b\n1:cpu,cpuacct:/\n3:pids:/not-mounted\n0::/c\n'
    expect(parseHierarchies(mountinfo, own)).toEqual([
      { kind: 'v1', mountPoint: '/sys/fs/cgroup/memory', controllers: ['memory'], ownGroup: '/sys/fs/cgroup/memory/a/b' },
      { kind: 'v1', mountPoint: '/sys/fs/cgroup/cpu,cpuacct', controllers: ['cpu', 'cpuacct'], ownGroup: '/sys/fs/cgroup/cpu,cpuacct' },
      { kind: 'v2', mountPoint: '/sys/fs/cgroup/unified', controllers: [], ownGroup: '/sys/fs/cgroup/unified/c' },
    ])
  })

  it('finds our group inside a container, where the mount begins at it', () => {
    const mountinfo = '35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro,relatime - cgroup cgroup rw,memory'
    expect(parseHierarchies(mountinfo, '4:memory:/docker/abc/deep\n')[0]?.ownGroup).toBe('/sys/fs/cgroup/memory/deep')
    expect(parseHierarchies(mountinfo, '4:memory:/docker/abc\n')[0]?.ownGroup).toBe('/sys/fs/cgroup/memory')
    expect(parseHierarchies(mountinfo, '4:memory:/docker/abcdef\n')[0]?.ownGroup).toBe('/sys/fs/cgroup/memory')
  })

  it('takes the mount itself when our group lies outside the cgroup namespace', () => {
    const mountinfo = '30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw'
    expect(parseHierarchies(mountinfo, '0::/../outside\n')[0]?.ownGroup).toBe('/sys/fs/cgroup')
  })

  it('decodes what mountinfo escapes', () => {
    const mountinfo = String.raw`30 23 0:26 / /sys/fs/c\040g\134roup rw - cgroup2 cgroup2 rw`
    expect(parseHierarchies(mountinfo, '0::/\n')[0]?.mountPoint).toBe(String.raw`/sys/fs/c g\roup`)
  })

  it('finds nothing where nothing is mounted', () => {
    expect(parseHierarchies('', '0::/\n')).toEqual([])
  })
})
