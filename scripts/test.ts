/** npm test: everything, in the order in which failing is cheapest. */
import { spawnSync } from 'node:child_process'
import { findLeftovers, lookAtHost } from './host-state.ts'
import { ensurePackages } from './system-packages.ts'

const missing = ensurePackages([
  { name: 'busybox-static', provides: ['/bin/busybox', '/usr/bin/busybox'] },
  { name: 'musl-tools', provides: ['/usr/bin/musl-gcc'] },
  { name: 'docker-registry', provides: ['/usr/bin/docker-registry'] },
  { name: 'apache2-utils', provides: ['/usr/bin/htpasswd'] },
  { name: 'openssl', provides: ['/usr/bin/openssl'] },
  { name: 'skopeo', provides: ['/usr/bin/skopeo'] },
  { name: 'umoci', provides: ['/usr/bin/umoci'] },
  { name: 'chromium', provides: ['/usr/bin/chromium'] },
  { name: 'debootstrap', provides: ['/usr/sbin/debootstrap'] },
  { name: 'runc', provides: ['/usr/sbin/runc', '/usr/bin/runc'] },
  { name: 'crun', provides: ['/usr/bin/crun'] },
  { name: 'erofs-utils', provides: ['/usr/bin/fsck.erofs'] },
  { name: 'libseccomp-dev', provides: ['/usr/include/seccomp.h'] },
  { name: 'nftables', provides: ['/usr/sbin/nft', '/sbin/nft'] },
  { name: 'strace', provides: ['/usr/bin/strace'] },
  { name: 'git', provides: ['/usr/bin/git'] },
  { name: 'openssh-client', provides: ['/usr/bin/ssh-keygen'] },
  { name: 'libcap2-bin', provides: ['/sbin/setcap', '/usr/sbin/setcap'] },
  { name: 'python3', provides: ['/usr/bin/python3'] },
  { name: 'iproute2', provides: ['/sbin/ip', '/usr/sbin/ip', '/bin/ip'] },
  { name: 'xz-utils', provides: ['/usr/bin/xz'] },
  { name: 'bzip2', provides: ['/bin/bzip2', '/usr/bin/bzip2'] },
  { name: 'e2fsprogs', provides: ['/sbin/mkfs.ext4', '/usr/sbin/mkfs.ext4'] },
  { name: 'libisal2', provides: ['/usr/lib/x86_64-linux-gnu/libisal.so.2', '/usr/lib/aarch64-linux-gnu/libisal.so.2', '/usr/lib64/libisal.so.2'] },
  { name: 'uidmap', provides: ['/usr/bin/newuidmap'] },
  { name: 'passt', provides: ['/usr/bin/pasta'] },
  { name: 'slirp4netns', provides: ['/usr/bin/slirp4netns'] },
  { name: 'fuse-overlayfs', provides: ['/usr/bin/fuse-overlayfs'] },
  { name: 'curl', provides: ['/usr/bin/curl'] },
])
if (missing.length > 0) {
  console.error(`These tests need Debian's packages ${missing.map(({ name }) => name).join(', ')}: install them (apt-get install ${missing.map(({ name }) => name).join(' ')}) and run npm test again.`)
  process.exit(1)
}
if (process.getuid?.() !== 0) {
  console.error('The kernel and end-to-end tests make namespaces, mounts and cgroups, so npm test needs root. `npm run check` runs what does not.')
  process.exit(1)
}
const before = lookAtHost()
for (const script of ['check', 'build', 'test:kernel', 'test:e2e']) {
  const { status } = spawnSync('npm', ['run', '--silent', script], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
const left = await findLeftovers(before)
for (const entry of left) console.error(`the tests left on this host: ${entry}`)
if (left.length > 0) process.exitCode = 1
