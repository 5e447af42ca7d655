/**
 * npm run test:vm [-- FILES]: kernel tests on Debian's own kernel in a virtual machine, with cgroup v2 alone and AppArmor, which a
 * machine of another kind does not have. The host's files are seen read-only below an overlay; temporary files lie on an ext4 of the machine's own.
 * Without /dev/kvm, or with TSBUILD_VM_ACCEL=tcg, every instruction is emulated: count minutes for seconds.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { ensurePackages } from './system-packages.ts'

const project = resolve(import.meta.dirname, '..')
const modules = ['virtio_pci', 'virtio_blk', '9pnet_virtio', '9p', 'overlay', 'ext4', 'crc32c_generic', 'veth', 'bridge', 'erofs', 'loop', 'fuse', 'nf_tables', 'nft_masq', 'nft_chain_nat']
const exitMark = 'tsbuild-vm exit '
const megabytes = 6144

const missing = ensurePackages([
  { name: 'qemu-system-x86', provides: ['/usr/bin/qemu-system-x86_64'] },
  { name: 'busybox-static', provides: ['/bin/busybox'] },
  { name: 'cpio', provides: ['/usr/bin/cpio', '/bin/cpio'] },
  { name: 'kmod', provides: ['/usr/sbin/depmod', '/sbin/depmod'] },
  { name: 'e2fsprogs', provides: ['/usr/sbin/mkfs.ext4', '/sbin/mkfs.ext4'] },
])
if (missing.length > 0) {
  console.error(`The virtual machine needs Debian's packages ${missing.map(({ name }) => name).join(', ')}.`)
  process.exit(1)
}
const folder = mkdtempSync(join(tmpdir(), 'tsbuild-vm-'))
try {
  process.exitCode = await boot(makeMachine(process.argv.slice(2)))
} finally {
  rmSync(folder, { recursive: true, force: true })
}

interface Machine { readonly kernel: string; readonly initrd: string; readonly disk: string }

function makeMachine(files: readonly string[]): Machine {
  const kernelFolder = unpackKernel()
  const [version = ''] = readdirSync(join(kernelFolder, 'lib/modules'))
  const disk = join(folder, 'disk.img')
  run('truncate', ['-s', '20G', disk])
  run('mkfs.ext4', ['-q', '-F', disk])
  return { kernel: join(kernelFolder, 'boot', `vmlinuz-${version}`), initrd: makeInitrd(kernelFolder, version, files), disk }
}

function unpackKernel(): string {
  const [, name = ''] = /Depends: (linux-image-\S+)/u.exec(run('apt-cache', ['depends', 'linux-image-amd64'])) ?? []
  if (name === '') throw new Error('Debian has no package linux-image-amd64 here')
  run('apt-get', ['download', '-qq', name], folder)
  const [archive = ''] = readdirSync(folder).filter((file) => file.endsWith('.deb'))
  const unpacked = join(folder, 'kernel')
  run('dpkg-deb', ['-x', join(folder, archive), unpacked])
  return unpacked
}

/** A busybox that loads modules and gives way to the host's root filesystem. */
function makeInitrd(kernelFolder: string, version: string, files: readonly string[]): string {
  const root = join(folder, 'initrd')
  for (const name of ['bin', 'mod', 'proc', 'sys', 'dev', 'host', 'rw', 'root']) mkdirSync(join(root, name), { recursive: true })
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'))
  for (const applet of ['sh', 'mount', 'insmod', 'mkdir', 'switch_root', 'poweroff', 'echo', 'cp']) symlinkSync('busybox', join(root, 'bin', applet))
  run('depmod', ['-b', kernelFolder, version])
  const order = new Set(modules.flatMap((module) => [...run('modprobe', ['-S', version, '-d', kernelFolder, '--show-depends', module]).matchAll(/^insmod (\S+)/gmu)].map(([, path = '']) => path)))
  for (const path of order) copyFileSync(path, join(root, 'mod', basename(path)))
  writeFileSync(join(root, 'init'), initScript([...order].map((path) => basename(path))))
  chmodSync(join(root, 'init'), 0o755)
  writeFileSync(join(root, 'inside.sh'), insideScript(files))
  run('sh', ['-c', 'find . | cpio -o -H newc --quiet | gzip -1 > ../initrd.gz'], root)
  return join(folder, 'initrd.gz')
}

function initScript(order: readonly string[]): string {
  return `#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
${order.map((name) => `insmod /mod/${name}`).join('\n')}
mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,ro,msize=512000 host /host
mount -t tmpfs -o size=${megabytes / 2}m tmpfs /rw; mkdir /rw/up /rw/work
mount -t overlay -o lowerdir=/host,upperdir=/rw/up,workdir=/rw/work overlay /root || poweroff -f
cp /inside.sh /root/inside.sh
mount -t proc proc /root/proc; mount -t sysfs sys /root/sys; mount -t devtmpfs dev /root/dev
exec switch_root /root /bin/sh /inside.sh
`
}

function insideScript(files: readonly string[]): string {
  return `mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs shm /dev/shm; mount -t tmpfs run /run
ln -s /proc/self/fd /dev/fd
mount -t cgroup2 none /sys/fs/cgroup
mount -t securityfs none /sys/kernel/security
mount /dev/vda /mnt
ip link set lo up; hostname vm
export TMPDIR=/mnt HOME=/root PATH=${project}/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd ${project}
# Through a pipe, because on a terminal progress is painted over and over.
{ vitest run --project kernel --testTimeout 600000 --hookTimeout 600000 ${files.map((file) => `'${file}'`).join(' ')}; echo $? > /mnt/status; } 2>&1 | cat
echo "${exitMark}$(cat /mnt/status)"
echo o > /proc/sysrq-trigger; sleep 10
`
}

async function boot({ kernel, initrd, disk }: Machine): Promise<number> {
  const hasKvm = existsSync('/dev/kvm') && process.env['TSBUILD_VM_ACCEL'] !== 'tcg'
  const child = spawn('qemu-system-x86_64', [
    ...(hasKvm ? ['-accel', 'kvm', '-cpu', 'host'] : ['-accel', 'tcg,thread=multi', '-cpu', 'max']),
    '-smp', '2', '-m', `${megabytes}M`, '-nographic', '-no-reboot', '-nic', 'none',
    '-kernel', kernel, '-initrd', initrd, '-append', 'console=ttyS0 quiet panic=-1 apparmor=1 security=apparmor',
    '-fsdev', 'local,id=host,path=/,security_model=none,readonly=on,multidevs=remap', '-device', 'virtio-9p-pci,fsdev=host,mount_tag=host',
    '-drive', `file=${disk},if=virtio,format=raw,cache=unsafe`,
  ], { stdio: ['ignore', 'pipe', 'inherit'] })
  let tail = ''
  child.stdout.on('data', (chunk: Buffer) => {
    process.stdout.write(chunk)
    tail = (tail + chunk.toString()).slice(-4096)
  })
  await once(child, 'close')
  const [, status] = new RegExp(`${exitMark}(\\d+)`, 'u').exec(tail) ?? []
  return status === undefined ? 1 : Number(status)
}

function run(file: string, args: readonly string[], cwd?: string): string {
  const { status, stdout, stderr } = spawnSync(file, args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${file} ${args.join(' ')}: ${stderr.trim()}`)
  return stdout
}
