import { InvalidSpec } from '../errors.ts'
import type { Abi } from './machine.ts'
import { armPrivateBase, isSyscall, multiplexed, syscallNumber } from './machine.ts'
import type { ArgumentTest, RuleCondition, SeccompProfile, SeccompRule } from './profile.ts'
import { actions } from './profile.ts'

/** For whom a profile is compiled: its conditions speak about this. */
export interface SeccompSubject {
  /** Go's name of the machine. */
  readonly goName: string
  readonly kernel: { readonly major: number; readonly minor: number }
  /** Names without `CAP_`, of what the container has. */
  readonly caps: ReadonlySet<string>
}

/** What one ABI's calls lead to. */
export interface AbiRules {
  readonly abi: Abi
  readonly calls: ReadonlyMap<number, CallRule>
  /** The highest number that the profile speaks about; calls above it are newer than the profile. */
  readonly highest: number
}

/** A test list is met when all of it are; the first list met decides, and where none is, the default action does. */
export type CallRule = { readonly kind: 'always'; readonly action: number } | { readonly kind: 'tested'; readonly alternatives: readonly Alternative[] }

export interface Alternative {
  readonly tests: readonly ArgumentTest[]
  readonly action: number
}

/**
 * The rules of a profile that apply to this container, by number.
 * @throws {InvalidSpec} a call that must not be unknown is, or two rules contradict each other
 */
export function selectRules(profile: SeccompProfile, abi: Abi, subject: SeccompSubject): AbiRules {
  const calls = new Map<number, CallRule>()
  let highest = 0
  for (const rule of profile.rules) {
    const doesApply = applies(rule, subject)
    for (const name of rule.names) {
      refuseUnknown(name, rule, profile)
      const number = syscallNumber(name, abi)
      if (number === undefined) continue
      if (number < armPrivateBase) highest = Math.max(highest, number)
      if (!doesApply || rule.action === profile.defaultAction) continue
      addRule(calls, number, { rule, tests: rule.args, name })
      if (abi === 'x86') addMultiplexed(calls, rule, name)
    }
  }
  return { abi, calls, highest }
}

export function applies({ includes, excludes }: SeccompRule, subject: SeccompSubject): boolean {
  if (!includes.caps.every((cap) => subject.caps.has(cap)) || excludes.caps.some((cap) => subject.caps.has(cap))) return false
  if (includes.arches.length > 0 && !includes.arches.includes(subject.goName)) return false
  if (excludes.arches.includes(subject.goName)) return false
  return (includes.minKernel === undefined || isAtLeast(subject, includes.minKernel)) && (excludes.minKernel === undefined || !isAtLeast(subject, excludes.minKernel))
}

function isAtLeast({ kernel }: SeccompSubject, [major, minor]: NonNullable<RuleCondition['minKernel']>): boolean {
  return kernel.major > major || (kernel.major === major && kernel.minor >= minor)
}

/** Allowing what does not exist is harmless, and profiles name calls of other machines. Forbidding it may be a slip that leaves a hole, unless everything that is not allowed is forbidden. */
function refuseUnknown(name: string, rule: SeccompRule, profile: SeccompProfile): void {
  if (isSyscall(name) || rule.action === actions.SCMP_ACT_ALLOW || rule.action === profile.defaultAction) return
  if (profile.defaultAction !== actions.SCMP_ACT_ALLOW && profile.defaultAction !== actions.SCMP_ACT_LOG) return
  throw new InvalidSpec(`${rule.field}.names`, name, 'a system call that exists, since this rule restricts it')
}

interface Addition {
  readonly rule: SeccompRule
  readonly tests: readonly ArgumentTest[]
  readonly name: string
}

function addRule(calls: Map<number, CallRule>, number: number, { rule, tests, name }: Addition): void {
  const known = calls.get(number)
  const contradicts = known?.kind === 'always' ? known.action !== rule.action : known !== undefined && tests.length === 0 && known.alternatives.some(({ action }) => action !== rule.action)
  if (contradicts) throw new InvalidSpec(`${rule.field}.action`, name, `what an earlier rule says about ${name}`)
  if (known?.kind === 'always') return
  if (tests.length === 0) {
    calls.set(number, { kind: 'always', action: rule.action })
    return
  }
  const alternatives = splitTests(tests).map((each) => ({ tests: each, action: rule.action }))
  calls.set(number, { kind: 'tested', alternatives: [...known?.alternatives ?? [], ...alternatives] })
}

/** As libseccomp and runc: several tests of the same argument are alternatives, tests of different ones hold together. */
function splitTests(tests: readonly ArgumentTest[]): (readonly ArgumentTest[])[] {
  const isRepeated = new Set(tests.map(({ index }) => index)).size < tests.length
  return isRepeated ? tests.map((test) => [test]) : [tests]
}

/**
 * The same call through socketcall or ipc. Its arguments lie in memory there, where a filter cannot look: what was to be
 * allowed for some arguments is not, and what was to be forbidden for some is forbidden for all.
 */
function addMultiplexed(calls: Map<number, CallRule>, rule: SeccompRule, name: string): void {
  const other = Object.hasOwn(multiplexed, name) ? multiplexed[name] : undefined
  if (other === undefined || (rule.args.length > 0 && rule.action === actions.SCMP_ACT_ALLOW)) return
  const number = syscallNumber(other.through, 'x86')
  if (number === undefined || calls.get(number)?.kind === 'always') return
  addRule(calls, number, { rule, name, tests: [{ index: 0, op: 'EQ', value: BigInt(other.call), valueTwo: 0n }] })
}
