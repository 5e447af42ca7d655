import { InvalidSpec } from '../errors.ts'
import { assembleFilter } from './assemble.ts'
import defaultFile from './default-profile.json' with { type: 'json' }
import { nativeMachine } from './machine.ts'
import type { SeccompProfile } from './profile.ts'
import { parseProfile } from './profile.ts'
import { selectRules } from './select-rules.ts'

/** A profile ready for the kernel. */
export interface SeccompFilter {
  /** struct sock_filter[], little-endian. */
  readonly program: Uint8Array
  /** SECCOMP_FILTER_FLAG_*. */
  readonly flags: number
}

export interface SeccompHost {
  /** `process.arch`. */
  readonly arch: string
  readonly kernel: { readonly major: number; readonly minor: number }
  /** Of the container, without `CAP_`. */
  readonly caps: readonly string[]
}

/** The kernel takes no more instructions. */
const mostInstructions = 4096
const instructionBytes = 8

const compiled = new Map<string, SeccompFilter>()
let defaultProfile: SeccompProfile | undefined

/** The default profile for a container; compiled once a process and set of capabilities. @throws {InvalidSpec} */
export function compileDefaultProfile(host: SeccompHost): SeccompFilter {
  const key = JSON.stringify([host.arch, host.kernel.major, host.kernel.minor, host.caps])
  const known = compiled.get(key)
  if (known !== undefined) return known
  defaultProfile ??= parseProfile(defaultFile)
  const filter = compileProfile(defaultProfile, host)
  compiled.set(key, filter)
  return filter
}

/** @throws {InvalidSpec} the profile contradicts itself, or this machine has no table of calls */
export function compileProfile(profile: SeccompProfile, { arch, kernel, caps }: SeccompHost): SeccompFilter {
  const machine = nativeMachine(arch)
  if (machine === undefined) throw new InvalidSpec('privilege.seccomp', arch, 'a machine whose system calls are known (x64, arm64), or seccomp unconfined')
  const others = profile.abis.find(({ native }) => native === machine.abi)?.others ?? []
  const subject = { goName: machine.goName, kernel, caps: new Set(caps) }
  const abis = [...new Set([machine.abi, ...others])].map((abi) => selectRules(profile, abi, subject))
  const instructions = assembleFilter({ abis, defaultAction: profile.defaultAction })
  if (instructions.length > mostInstructions) throw new InvalidSpec('privilege.seccomp', `${instructions.length} instructions`, `a profile that needs at most ${mostInstructions}`)
  const program = Buffer.alloc(instructions.length * instructionBytes)
  instructions.forEach(({ code, whenTrue, whenFalse, operand }, index) => {
    const at = index * instructionBytes
    program.writeUInt16LE(code, at)
    program.writeUInt8(whenTrue, at + 2)
    program.writeUInt8(whenFalse, at + 3)
    program.writeUInt32LE(operand, at + 4)
  })
  return { program, flags: profile.flags }
}
