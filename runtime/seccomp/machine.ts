import numbers from './syscalls.json' with { type: 'json' }

/** One kind of system call table. x32 is x86_64 by its audit number and has a bit of its own in every number. */
export type Abi = 'x86_64' | 'x86' | 'x32' | 'aarch64' | 'arm'

const columns: readonly Abi[] = ['x86_64', 'x86', 'x32', 'aarch64', 'arm']
const table = new Map<string, readonly (number | null)[]>(Object.entries(numbers))

/** AUDIT_ARCH_* of linux/audit.h. */
export const auditNumbers: Readonly<Record<Abi, number>> = {
  x86_64: 0xc000003e, x86: 0x40000003, x32: 0xc000003e, aarch64: 0xc00000b7, arm: 0x40000028,
}

export const x32Bit = 0x4000_0000

/** Where ARM keeps a few calls of its own, far above all others. */
export const armPrivateBase = 0xf0000

/** By the names of libseccomp, which profiles use. */
export const abiNames: ReadonlyMap<string, Abi> = new Map([
  ['SCMP_ARCH_X86_64', 'x86_64'], ['SCMP_ARCH_X86', 'x86'], ['SCMP_ARCH_X32', 'x32'], ['SCMP_ARCH_AARCH64', 'aarch64'], ['SCMP_ARCH_ARM', 'arm'],
])

/** What this machine runs natively, and what Go and therefore profiles call it; undefined where the table has nothing. */
export function nativeMachine(arch: string): { readonly abi: Abi; readonly goName: string } | undefined {
  if (arch === 'x64') return { abi: 'x86_64', goName: 'amd64' }
  if (arch === 'arm64') return { abi: 'aarch64', goName: 'arm64' }
  return undefined
}

export function isSyscall(name: string): boolean {
  return table.has(name)
}

/** Without the x32 bit; undefined where the ABI lacks the call. */
export function syscallNumber(name: string, abi: Abi): number | undefined {
  return table.get(name)?.[columns.indexOf(abi)] ?? undefined
}

/**
 * What 32-bit x86 also does through one call, whose first argument says which. @see linux/net.h, ipc(2)
 */
export const multiplexed: Readonly<Record<string, { readonly through: 'socketcall' | 'ipc'; readonly call: number }>> = {
  socket: { through: 'socketcall', call: 1 }, bind: { through: 'socketcall', call: 2 }, connect: { through: 'socketcall', call: 3 },
  listen: { through: 'socketcall', call: 4 }, accept: { through: 'socketcall', call: 5 }, getsockname: { through: 'socketcall', call: 6 },
  getpeername: { through: 'socketcall', call: 7 }, socketpair: { through: 'socketcall', call: 8 }, send: { through: 'socketcall', call: 9 },
  recv: { through: 'socketcall', call: 10 }, sendto: { through: 'socketcall', call: 11 }, recvfrom: { through: 'socketcall', call: 12 },
  shutdown: { through: 'socketcall', call: 13 }, setsockopt: { through: 'socketcall', call: 14 }, getsockopt: { through: 'socketcall', call: 15 },
  sendmsg: { through: 'socketcall', call: 16 }, recvmsg: { through: 'socketcall', call: 17 }, accept4: { through: 'socketcall', call: 18 },
  recvmmsg: { through: 'socketcall', call: 19 }, sendmmsg: { through: 'socketcall', call: 20 },
  semop: { through: 'ipc', call: 1 }, semget: { through: 'ipc', call: 2 }, semctl: { through: 'ipc', call: 3 }, semtimedop: { through: 'ipc', call: 4 },
  msgsnd: { through: 'ipc', call: 11 }, msgrcv: { through: 'ipc', call: 12 }, msgget: { through: 'ipc', call: 13 }, msgctl: { through: 'ipc', call: 14 },
  shmat: { through: 'ipc', call: 21 }, shmdt: { through: 'ipc', call: 22 }, shmget: { through: 'ipc', call: 23 }, shmctl: { through: 'ipc', call: 24 },
}
