import type { ContainerSpec, Limits, Mount, ProcessSpec } from './container-spec.ts'
import { InvalidSpec } from './errors.ts'

/** @throws {InvalidSpec} */
export function validateSpec(spec: ContainerSpec): void {
  if (!/^[a-z0-9-]{1,64}$/u.test(spec.id)) throw new InvalidSpec('id', spec.id, '1 to 64 of a-z, 0-9 and -')
  validateRootfs(spec)
  validateProcess(spec.process)
  const { hostname, domainname, shmSizeBytes } = spec.isolation
  requireText('isolation.hostname', hostname, 64)
  if (domainname !== undefined) requireText('isolation.domainname', domainname, 64)
  if (shmSizeBytes !== undefined) requireInteger('isolation.shmSizeBytes', shmSizeBytes, 1)
  spec.mounts.forEach((mount, index) => validateMount(mount, `mounts[${index}]`))
  validateLimits(spec.limits)
  const program = spec.privilege.seccompProgram
  if (program !== undefined && (program.byteLength % 8 !== 0 || program.byteLength > 4096 * 8)) throw new InvalidSpec('privilege.seccompProgram', `${program.byteLength} bytes`, 'at most 4096 instructions of 8 bytes')
}

function validateRootfs({ rootfs }: ContainerSpec): void {
  if (rootfs.kind === 'directory') {
    requirePath('rootfs.path', rootfs.path)
    return
  }
  rootfs.lowers.forEach((lower, index) => requirePath(`rootfs.lowers[${index}].path`, lower.path))
  if (rootfs.upper === undefined) return
  requirePath('rootfs.upper.upperdir', rootfs.upper.upperdir)
  requirePath('rootfs.upper.workdir', rootfs.upper.workdir)
}

function validateProcess(process: ProcessSpec): void {
  if (process.args.length === 0) throw new InvalidSpec('process.args', process.args, 'at least a command')
  process.args.forEach((arg, index) => requireText(`process.args[${index}]`, arg))
  process.env.forEach((variable, index) => {
    requireText(`process.env[${index}]`, variable)
    if (variable.indexOf('=') < 1) throw new InvalidSpec(`process.env[${index}]`, variable, 'NAME=value')
  })
  requirePath('process.cwd', process.cwd)
  requireId('process.user.uid', process.user.uid)
  requireId('process.user.gid', process.user.gid)
  process.user.groups.forEach((gid, index) => requireId(`process.user.groups[${index}]`, gid))
  if (process.user.groups.length > 65_536) throw new InvalidSpec('process.user.groups', `${process.user.groups.length} groups`, 'at most 65536')
  if (process.umask !== undefined) requireInteger('process.umask', process.umask, 0, 0o777)
}

function validateMount(mount: Mount, field: string): void {
  requirePath(`${field}.target`, mount.target)
  const target = `/${mount.target.split('/').filter((part) => part !== '' && part !== '.').join('/')}`
  if (target === '/' || target === '/dev' || /^\/(?:proc|sys)(?:\/|$)/u.test(target)) throw new InvalidSpec(`${field}.target`, mount.target, 'neither / nor /dev, nor anything in /proc or /sys')
  switch (mount.kind) {
    case 'bind':
      requirePath(`${field}.source`, mount.source)
      break
    case 'tmpfs':
      if (mount.sizeBytes !== undefined) requireInteger(`${field}.sizeBytes`, mount.sizeBytes, 1)
      if (mount.mode !== undefined) requireInteger(`${field}.mode`, mount.mode, 0, 0o7777)
      break
    case 'file':
      requireInteger(`${field}.mode`, mount.mode, 0, 0o7777)
      requireId(`${field}.uid`, mount.uid)
      requireId(`${field}.gid`, mount.gid)
      break
  }
}

/** Docker's: with less, starting a process already fails here and there. */
const leastMemoryBytes = 6 * 1024 * 1024

function validateLimits({ memoryBytes, memorySwapBytes, cpus, pids, timeoutMs }: Limits): void {
  if (memoryBytes !== undefined) requireInteger('limits.memoryBytes', memoryBytes, leastMemoryBytes)
  if (memorySwapBytes !== undefined && memoryBytes === undefined) throw new InvalidSpec('limits.memorySwapBytes', memorySwapBytes, 'limits.memoryBytes beside it')
  if (memorySwapBytes !== undefined && memorySwapBytes !== -1 && !(memorySwapBytes >= (memoryBytes ?? 0))) throw new InvalidSpec('limits.memorySwapBytes', memorySwapBytes, '-1, or at least limits.memoryBytes')
  if (cpus !== undefined && !(cpus >= 0.01 && Number.isFinite(cpus))) throw new InvalidSpec('limits.cpus', cpus, 'at least 0.01')
  if (pids !== undefined) requireInteger('limits.pids', pids, 1)
  if (timeoutMs !== undefined && !(timeoutMs > 0 && timeoutMs <= 2 ** 31 - 1)) throw new InvalidSpec('limits.timeoutMs', timeoutMs, 'more than 0 and at most 24 days')
}

function requireText(field: string, value: string, maxBytes = Number.POSITIVE_INFINITY): void {
  if (value.includes('\0')) throw new InvalidSpec(field, value, 'a text without NUL')
  if (Buffer.byteLength(value) > maxBytes) throw new InvalidSpec(field, value, `at most ${maxBytes} bytes`)
}

function requirePath(field: string, value: string): void {
  requireText(field, value, 4095)
  if (!value.startsWith('/')) throw new InvalidSpec(field, value, 'an absolute path')
}

/** 2^32 - 1 is "unchanged" to the kernel. */
function requireId(field: string, value: number): void {
  requireInteger(field, value, 0, 2 ** 32 - 2)
}

// eslint-disable-next-line max-params
function requireInteger(field: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): void {
  if (!Number.isSafeInteger(value) || value < least || value > most) throw new InvalidSpec(field, value, `a whole number from ${least} to ${most}`)
}
