import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { compileProfile } from '../../runtime/seccomp/compile.ts'
import defaultFile from '../../runtime/seccomp/default-profile.json' with { type: 'json' }
import { auditNumbers, x32Bit } from '../../runtime/seccomp/machine.ts'
import type { Abi } from '../../runtime/seccomp/machine.ts'
import type { SeccompProfile, SeccompRule } from '../../runtime/seccomp/profile.ts'
import { parseProfile } from '../../runtime/seccomp/profile.ts'
import type { AbiRules, Alternative } from '../../runtime/seccomp/select-rules.ts'
import { selectRules } from '../../runtime/seccomp/select-rules.ts'
import { run, runScript } from '../support/container.ts'
import { runFilter } from '../support/seccomp-data.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const busybox = workspace.makeBusyboxLayer()
const rootfs = () => ({ kind: 'overlay', lowers: [{ kind: 'directory', path: busybox }], upper: workspace.makeUpper(), xattrs: 'trusted' }) as const
afterAll(() => { workspace[Symbol.dispose]() })

const libseccomp = join(workspace.folder, 'libseccomp')
execFileSync('cc', ['-O1', '-Wall', '-Wextra', '-Werror', '-o', libseccomp, join(import.meta.dirname, '../support/libseccomp.c'), '-lseccomp'])

const host = { arch: 'x64', kernel: { major: 6, minor: 12 } }
const subject = { goName: 'amd64', kernel: host.kernel }
const docker = parseProfile(defaultFile)

function lines(program: string, input: string): Uint8Array {
  return execFileSync(libseccomp, program === '' ? [] : [program], { input })
}

/** The profile without the names that this libseccomp is too old for. */
function knownToBoth(profile: SeccompProfile): SeccompProfile {
  const known = new Set(Buffer.from(lines('known', profile.rules.flatMap(({ names }) => names).join('\n') + '\n')).toString().split('\n'))
  return { ...profile, rules: profile.rules.map((rule) => ({ ...rule, names: rule.names.filter((name) => known.has(name)) })).filter(({ names }) => names.length > 0) }
}

/** The same selection that a runtime hands to libseccomp: rules that apply and differ from the default. */
function reference(profile: SeccompProfile, caps: ReadonlySet<string>): Uint8Array {
  const others = profile.abis.find(({ native }) => native === 'x86_64')?.others ?? []
  const rules = profile.rules.filter(({ action, includes, excludes }) => action !== profile.defaultAction
    && includes.caps.every((cap) => caps.has(cap)) && !excludes.caps.some((cap) => caps.has(cap))
    && (includes.arches.length === 0 || includes.arches.includes('amd64')))
  const split = (args: SeccompRule['args']): readonly SeccompRule['args'][] => new Set(args.map(({ index }) => index)).size < args.length ? args.map((arg) => [arg]) : [args]
  const toLines = rules.flatMap(({ names, action, args }) => names.flatMap((name) => split(args).map((tests) => `rule ${action} ${name} ${tests.map(({ index, op, value, valueTwo }) => `${index} ${op} ${value} ${valueTwo}`).join(' ')}`)))
  const archs = others.map((abi) => `arch ${abi === 'x32' ? 0x4000003e : auditNumbers[abi]}`)
  return lines('', [`default ${profile.defaultAction}`, ...archs, ...toLines, ''].join('\n'))
}

/** Values around everything that is compared, one argument at a time and together. */
function corners(rules: AbiRules, number: number): bigint[][] {
  const rule = rules.calls.get(number)
  const alternatives: readonly Alternative[] = rule?.kind === 'tested' ? rule.alternatives : []
  const mask = rules.abi === 'x86' ? 0xffff_ffffn : 2n ** 64n - 1n
  const values = [0n, 1n, mask, ...alternatives.flatMap(({ tests }) => tests.flatMap(({ value, valueTwo }) => [value - 1n, value, value + 1n, valueTwo, value | valueTwo, value + 2n ** 32n, value & -value, ...Array.from({ length: 32 }, (_, bit) => 1n << BigInt(bit))]))]
  const clipped = [...new Set(values.map((value) => BigInt.asUintN(64, value) & mask))]
  return clipped.flatMap((one) => [[one, 0n, 0n, 0n, 0n, 0n], [0n, one, 0n, 0n, 0n, 0n], [one, one, one, one, one, one]])
}

function differences(profile: SeccompProfile, caps: readonly string[]): string[] {
  const common = knownToBoth(profile)
  const ours = compileProfile(common, { ...host, caps }).program
  const theirs = reference(common, new Set(caps))
  const abis: readonly Abi[] = ['x86_64', ...common.abis.find(({ native }) => native === 'x86_64')?.others ?? []]
  return abis.flatMap((abi) => {
    const rules = selectRules(common, abi, { ...subject, caps: new Set(caps) })
    return Array.from({ length: rules.highest + 1 }, (_, number) => number).flatMap((number) => corners(rules, number).flatMap((args) => {
      const data = { number: abi === 'x32' ? number + x32Bit : number, audit: auditNumbers[abi], args }
      const [own, other] = [runFilter(ours, data), runFilter(theirs, data)]
      return own === other ? [] : [`${abi} ${number} (${args.join(' ')}): ${own.toString(16)}, libseccomp ${other.toString(16)}`]
    }))
  })
}

describe('our compiler and libseccomp', () => {
  it.each([[[]], [['SYS_ADMIN']], [['SYS_PTRACE', 'SYSLOG', 'BPF']], [['SYS_CHROOT', 'SYS_NICE', 'SYS_TIME', 'DAC_READ_SEARCH']]])('agree on every call of the default profile with %j', (caps) => {
    expect(differences(docker, caps)).toEqual([])
  })

  it('agree on the default profile with x32 open', () => {
    expect(differences({ ...docker, abis: [{ native: 'x86_64', others: ['x86', 'x32'] }] }, [])).toEqual([])
  })

  it.each(['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'] as const)('agree on %s, alone and with another argument', (op) => {
    const word = { op: `SCMP_CMP_${op}`, valueTwo: 0x1_0000_0010 }
    const profile = parseProfile({
      defaultAction: 'SCMP_ACT_ALLOW',
      architectures: ['SCMP_ARCH_X86_64'],
      syscalls: [
        { names: ['read'], action: 'SCMP_ACT_ERRNO', errnoRet: 5, args: [{ index: 0, value: 0x1_0000_0010, ...word }] },
        { names: ['write'], action: 'SCMP_ACT_TRAP', args: [{ index: 0, value: 7, ...word }, { index: 1, value: 0x2_0000_0000, op: 'SCMP_CMP_LT' }] },
        { names: ['close'], action: 'SCMP_ACT_LOG', args: [{ index: 0, value: 1, op: 'SCMP_CMP_EQ' }, { index: 0, value: 9, op: 'SCMP_CMP_EQ' }] },
        { names: ['mkdir'], action: 'SCMP_ACT_KILL_PROCESS' },
      ],
    })
    expect(differences(profile, [])).toEqual([])
  })

  it('kill on calls of machines that the profile does not list', () => {
    const { program } = compileProfile(docker, { ...host, caps: [] })
    for (const data of [{ number: x32Bit, audit: auditNumbers.x86_64 }, { number: 0, audit: auditNumbers.aarch64 }, { number: 0, audit: 0 }]) {
      expect(runFilter(program, { ...data, args: [0n, 0n, 0n, 0n, 0n, 0n] })).toBe(0x8000_0000)
    }
  })
})

describe('the default filter in a container', () => {
  it('is there, also without capabilities, for users and with no_new_privs', async () => {
    const read = 'sed -n "s/^Seccomp:.//p" /proc/self/status'
    for (const privilege of [{}, { capDrop: ['ALL'] }, { noNewPrivileges: true }]) {
      expect(await runScript(read, { rootfs: rootfs(), privilege })).toEqual(['2'])
      expect(await runScript(read, { rootfs: rootfs(), privilege, process: { user: { uid: 1000, gid: 1000, groups: [] } } })).toEqual(['2'])
    }
    expect(await runScript(read, { rootfs: rootfs(), privilege: { seccomp: { kind: 'unconfined' } } })).toEqual(['0'])
    expect(await runScript(read, { rootfs: rootfs(), privilege: { isPrivileged: true } })).toEqual(['0'])
  })

  it('refuses what reaches beyond the container, and nothing that programs need', async () => {
    const { stdout } = await run({ args: ['/bin/probe', 'surface'], rootfs: rootfs() })
    expect(stdout.trim().split('\n')).toEqual([
      'AF_ALG EPERM', 'AF_ALG behind a high half EPERM', 'AF_VSOCK EPERM', 'AF_UNIX ok', 'io_uring_setup EPERM', 'userfaultfd EPERM', 'keyctl EPERM', 'add_key EPERM', 'bpf EPERM',
      'perf_event_open EPERM', 'clone(NEWUSER) EPERM', 'clone3 ENOSYS', 'unshare EPERM', 'setns EPERM', 'mount EPERM', 'fsopen EPERM',
      'open_tree EPERM', 'pivot_root EPERM', 'kexec_load EPERM', 'swapon EPERM', 'reboot EPERM', 'init_module EPERM', 'iopl EPERM', 'acct EPERM',
      'settimeofday EPERM', 'open_by_handle_at EPERM', 'personality EPERM', 'newer than the profile ENOSYS', 'getpid ok',
    ])
  })

  it('opens with the capability that a rule names', async () => {
    const { stdout } = await run({ args: ['/bin/probe', 'surface'], rootfs: rootfs(), privilege: { capAdd: ['SYS_ADMIN'] } })
    expect(stdout).toContain('unshare ok')
    expect(stdout).toContain('keyctl EPERM')
  })
})

describe('a profile of the caller', () => {
  const profile = (syscalls: unknown): { readonly seccomp: { readonly kind: 'profile'; readonly profile: unknown } } => ({ seccomp: { kind: 'profile', profile: { defaultAction: 'SCMP_ACT_ALLOW', syscalls } } })

  it('holds', async () => {
    const rules = [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 30 }]
    expect(await runScript('mkdir /made 2>&1; true', { rootfs: rootfs(), privilege: profile(rules) })).toEqual([expect.stringContaining('Read-only file system')])
    const { exit } = await run({ args: ['/bin/mkdir', '/made'], rootfs: rootfs(), privilege: profile([{ names: ['mkdir'], action: 'SCMP_ACT_KILL_PROCESS' }]) })
    expect(exit).toMatchObject({ exitCode: 159, signal: 'SIGSYS' })
  })

  it('may forbid what is no system call here where all is forbidden that it does not allow', async () => {
    const seccomp = { kind: 'profile', profile: { ...defaultFile, syscalls: [{ names: ['mkdri'], action: 'SCMP_ACT_KILL' }, ...defaultFile.syscalls] } } as const
    expect((await run({ args: ['/bin/true'], rootfs: rootfs(), privilege: { seccomp } })).exit.exitCode).toBe(0)
  })

  it('that would not protect as it says is refused', async () => {
    for (const privilege of [profile([{ names: ['mkdri'], action: 'SCMP_ACT_ERRNO' }]), profile([{ names: ['mkdir'], action: 'SCMP_ACT_ERROR' }]), profile([{ names: ['mkdir'], action: 'SCMP_ACT_ERRNO', arg: [] }])]) {
      await expect(run({ args: ['/bin/true'], rootfs: rootfs(), privilege })).rejects.toMatchObject({ code: 'RUNTIME_INVALID_SPEC' })
    }
  })
})
