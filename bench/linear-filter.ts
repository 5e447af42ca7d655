import defaultFile from '../runtime/seccomp/default-profile.json' with { type: 'json' }
import type { SeccompHost } from '../runtime/seccomp/compile.ts'
import { auditNumbers, nativeMachine } from '../runtime/seccomp/machine.ts'
import { actions, parseProfile } from '../runtime/seccomp/profile.ts'
import { selectRules } from '../runtime/seccomp/select-rules.ts'

type Instruction = readonly [code: number, whenTrue: number, whenFalse: number, operand: number]

const load = 0x20
const jump = 0x05
const jumpIfEqual = 0x15
const giveBack = 0x06
const archAt = 4

/** The default profile as a chain that compares one call after the other, for the time it takes to load; tests of arguments are left out. */
export function linearFilter({ arch, kernel, caps }: SeccompHost): Uint8Array {
  const machine = nativeMachine(arch)
  if (machine === undefined) throw new Error(`no system calls are known for ${arch}`)
  const profile = parseProfile(defaultFile)
  const subject = { goName: machine.goName, kernel, caps: new Set(caps) }
  const abis = [machine.abi, ...profile.abis.find(({ native }) => native === machine.abi)?.others ?? []].filter((abi) => abi !== 'x32')
  const sections = abis.flatMap((abi): Instruction[] => {
    const chain = [...selectRules(profile, abi, subject).calls.keys()].flatMap((number): Instruction[] => [[jumpIfEqual, 0, 1, number], [giveBack, 0, 0, actions.SCMP_ACT_ALLOW]])
    return [[jumpIfEqual, 1, 0, auditNumbers[abi]], [jump, 0, 0, chain.length + 2], [load, 0, 0, 0], ...chain, [giveBack, 0, 0, profile.defaultAction]]
  })
  const program: readonly Instruction[] = [[load, 0, 0, archAt], ...sections, [giveBack, 0, 0, actions.SCMP_ACT_KILL_PROCESS]]
  const bytes = Buffer.alloc(8 * program.length)
  for (const [index, [code, whenTrue, whenFalse, operand]] of program.entries()) {
    bytes.writeUInt16LE(code, 8 * index)
    bytes.writeUInt8(whenTrue, 8 * index + 2)
    bytes.writeUInt8(whenFalse, 8 * index + 3)
    bytes.writeUInt32LE(operand >>> 0, 8 * index + 4)
  }
  return bytes
}
