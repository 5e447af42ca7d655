import { InvalidSpec } from '../errors.ts'
import defaultFile from '../seccomp/default-profile.json' with { type: 'json' }
import { abiNames, nativeMachine } from '../seccomp/machine.ts'
import type { ArgumentTest, SeccompProfile, SeccompRule } from '../seccomp/profile.ts'
import { actions, parseProfile } from '../seccomp/profile.ts'
import type { SeccompHost } from '../seccomp/compile.ts'
import { applies } from '../seccomp/select-rules.ts'

const actionMask = 0xffff_0000
const errnoMask = 0xffff

/** A profile, or the default one, with its conditions decided for a container. @see runtime-spec config-linux.md "Seccomp" */
export function ociSeccomp(profile: unknown, { arch, kernel, caps }: SeccompHost): object {
  const parsed = parseProfile(profile ?? defaultFile)
  const machine = nativeMachine(arch)
  if (machine === undefined) throw new InvalidSpec('privilege.seccomp', arch, 'a machine whose system calls are known (x64, arm64), or seccomp unconfined')
  const subject = { goName: machine.goName, kernel, caps: new Set(caps) }
  return {
    ...describeAction('defaultAction', 'defaultErrnoRet', parsed.defaultAction),
    architectures: architectures(parsed, machine.abi),
    syscalls: parsed.rules.filter((rule) => applies(rule, subject) && rule.action !== parsed.defaultAction).map(describeRule),
  }
}

function architectures(profile: SeccompProfile, native: string): string[] {
  const abis = [native, ...profile.abis.find((entry) => entry.native === native)?.others ?? []]
  return [...abiNames].filter(([, abi]) => abis.includes(abi)).map(([name]) => name)
}

function describeAction(name: string, errnoName: string, action: number): object {
  const kind = Object.entries(actions).find(([, number]) => number >>> 0 === (action & actionMask) >>> 0 && number !== actions.SCMP_ACT_KILL)?.[0] ?? 'SCMP_ACT_KILL_THREAD'
  const hasData = kind === 'SCMP_ACT_ERRNO' || kind === 'SCMP_ACT_TRACE'
  return { [name]: kind, ...(hasData ? { [errnoName]: action & errnoMask } : {}) }
}

function describeRule(rule: SeccompRule): object {
  return { names: rule.names, ...describeAction('action', 'errnoRet', rule.action), ...(rule.args.length === 0 ? {} : { args: rule.args.map((test) => describeTest(test, rule)) }) }
}

function describeTest({ index, op, value, valueTwo }: ArgumentTest, { field }: SeccompRule): object {
  for (const number of [value, valueTwo]) if (number > BigInt(Number.MAX_SAFE_INTEGER)) throw new InvalidSpec(`${field}.args`, String(number), 'numbers below 2^53, which JSON carries exactly')
  return { index, op: `SCMP_CMP_${op}`, value: Number(value), valueTwo: Number(valueTwo) }
}
