import { InvalidSpec } from '../errors.ts'
import type { Abi } from './machine.ts'
import { abiNames } from './machine.ts'

/** A seccomp profile as Docker's files have it, checked. @see https://docs.docker.com/engine/security/seccomp/ */
export interface SeccompProfile {
  /** SECCOMP_RET_* with its data, as the kernel takes it. */
  readonly defaultAction: number
  /** By native ABI those whose calls are filtered too; every other ABI's calls kill the process. */
  readonly abis: readonly { readonly native: Abi; readonly others: readonly Abi[] }[]
  /** SECCOMP_FILTER_FLAG_*. */
  readonly flags: number
  readonly rules: readonly SeccompRule[]
}

export interface SeccompRule {
  readonly names: readonly string[]
  readonly action: number
  readonly args: readonly ArgumentTest[]
  readonly includes: RuleCondition
  readonly excludes: RuleCondition
  /** Path in the profile, for errors. */
  readonly field: string
}

export interface ArgumentTest {
  readonly index: number
  readonly op: Comparison
  readonly value: bigint
  /** What the masked argument has to be; only of MASKED_EQ, whose mask is `value`. */
  readonly valueTwo: bigint
}

export interface RuleCondition {
  /** Without `CAP_`. */
  readonly caps: readonly string[]
  /** Go's names of machines. */
  readonly arches: readonly string[]
  readonly minKernel: readonly [major: number, minor: number] | undefined
}

const comparisons = ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'] as const
export type Comparison = typeof comparisons[number]

/** SECCOMP_RET_* of linux/seccomp.h. */
export const actions = {
  SCMP_ACT_KILL_PROCESS: 0x8000_0000, SCMP_ACT_KILL_THREAD: 0, SCMP_ACT_KILL: 0, SCMP_ACT_TRAP: 0x0003_0000, SCMP_ACT_ERRNO: 0x0005_0000,
  SCMP_ACT_TRACE: 0x7ff0_0000, SCMP_ACT_LOG: 0x7ffc_0000, SCMP_ACT_ALLOW: 0x7fff_0000,
} as const

const flagNumbers: Readonly<Record<string, number>> = { SECCOMP_FILTER_FLAG_LOG: 2, SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4 }
/** As runc: without it, every filtered process loses the speed of speculation. */
const defaultFlags = 4
const operationNotPermitted = 1
const highestData = 0xffff

/**
 * Checks a parsed JSON file. What it does not know it refuses: a profile that is not wholly understood protects less than it says.
 * @throws {InvalidSpec}
 */
export function parseProfile(value: unknown): SeccompProfile {
  const top = new Fields(value, 'privilege.seccomp')
  const defaultErrno = top.optional('defaultErrnoRet', readErrno) ?? operationNotPermitted
  const parsed: SeccompProfile = {
    defaultAction: toAction(top.required('defaultAction', readText), { errno: defaultErrno, field: 'privilege.seccomp.defaultAction' }),
    abis: readAbis(top),
    flags: (top.optional('flags', readTexts))?.reduce((flags, flag) => flags | toFlag(flag), 0) ?? defaultFlags,
    rules: (top.optional('syscalls', readList) ?? []).map((rule, index) => readRule(rule, `privilege.seccomp.syscalls[${index}]`, defaultErrno)),
  }
  top.finish()
  return parsed
}

function readAbis(top: Fields): SeccompProfile['abis'] {
  const map = top.optional('archMap', readList)
  const flat = top.optional('architectures', readTexts)
  if (map !== undefined && flat !== undefined) throw new InvalidSpec('privilege.seccomp.architectures', flat, 'no archMap beside it')
  if (flat !== undefined) {
    const abis = flat.flatMap(knownAbi)
    return abis.map((native) => ({ native, others: abis.filter((abi) => abi !== native) }))
  }
  return (map ?? []).flatMap((entry, index) => {
    const fields = new Fields(entry, `privilege.seccomp.archMap[${index}]`)
    const native = knownAbi(fields.required('architecture', readText))
    const others = fields.optional('subArchitectures', readTexts) ?? []
    fields.finish()
    return native.map((abi) => ({ native: abi, others: others.flatMap(knownAbi) }))
  })
}

/** Machines we do not run on are left out. */
function knownAbi(name: string): Abi[] {
  const abi = abiNames.get(name)
  return abi === undefined ? [] : [abi]
}

function readRule(value: unknown, field: string, defaultErrno: number): SeccompRule {
  const fields = new Fields(value, field)
  const name = fields.optional('name', readText)
  const names = [...(name === undefined ? [] : [name]), ...(fields.optional('names', readTexts) ?? [])]
  if (names.length === 0) throw new InvalidSpec(`${field}.names`, undefined, 'the names of system calls')
  const rule: SeccompRule = {
    names,
    action: toAction(fields.required('action', readText), { errno: fields.optional('errnoRet', readErrno) ?? defaultErrno, field: `${field}.action` }),
    args: (fields.optional('args', readList) ?? []).map((arg, index) => readArgument(arg, `${field}.args[${index}]`)),
    includes: readCondition(fields.optional('includes', (each) => each), `${field}.includes`),
    excludes: readCondition(fields.optional('excludes', (each) => each), `${field}.excludes`),
    field,
  }
  fields.optional('comment', readText)
  fields.finish()
  return rule
}

function readArgument(value: unknown, field: string): ArgumentTest {
  const fields = new Fields(value, field)
  const op = fields.required('op', readText).replace(/^SCMP_CMP_/u, '')
  const known = comparisons.find((comparison) => comparison === op)
  if (known === undefined) throw new InvalidSpec(`${field}.op`, op, comparisons.map((comparison) => `SCMP_CMP_${comparison}`).join(', '))
  const index = fields.required('index', readErrno)
  if (index > 5) throw new InvalidSpec(`${field}.index`, index, 'an argument from 0 to 5')
  const test = { index, op: known, value: fields.required('value', readWord), valueTwo: fields.optional('valueTwo', readWord) ?? 0n }
  fields.finish()
  return test
}

function readCondition(value: unknown, field: string): RuleCondition {
  const fields = new Fields(value ?? {}, field)
  const minKernel = fields.optional('minKernel', readText)
  const [, major, minor] = /^(\d+)\.(\d+)$/u.exec(minKernel ?? '') ?? []
  if (minKernel !== undefined && major === undefined) throw new InvalidSpec(`${field}.minKernel`, minKernel, 'a version such as 4.8')
  const condition: RuleCondition = {
    caps: (fields.optional('caps', readTexts) ?? []).map((cap) => cap.toUpperCase().replace(/^CAP_/u, '')),
    arches: fields.optional('arches', readTexts) ?? [],
    minKernel: minKernel === undefined ? undefined : [Number(major), Number(minor)],
  }
  fields.finish()
  return condition
}

function toAction(name: string, { errno, field }: { readonly errno: number; readonly field: string }): number {
  const [, known] = Object.entries(actions).find(([action]) => action === name) ?? []
  if (known === undefined) throw new InvalidSpec(field, name, Object.keys(actions).join(', '))
  return known === actions.SCMP_ACT_ERRNO || known === actions.SCMP_ACT_TRACE ? (known | errno) >>> 0 : known
}

function toFlag(name: string): number {
  const flag = flagNumbers[name]
  if (flag === undefined) throw new InvalidSpec('privilege.seccomp.flags', name, Object.keys(flagNumbers).join(', '))
  return flag
}

/** An object whose every field has to be read. */
class Fields {
  readonly #field: string
  readonly #rest: Map<string, unknown>

  constructor(value: unknown, field: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new InvalidSpec(field, value, 'an object')
    this.#field = field
    this.#rest = new Map(Object.entries(value))
  }

  required<T>(name: string, read: (value: unknown, field: string) => T): T {
    if (!this.#rest.has(name)) throw new InvalidSpec(`${this.#field}.${name}`, undefined, 'it to be there')
    return this.#take(name, read)
  }

  /** null is what Go writes for what is not there. */
  optional<T>(name: string, read: (value: unknown, field: string) => T): T | undefined {
    const value = this.#rest.get(name)
    if (value !== undefined && value !== null) return this.#take(name, read)
    this.#rest.delete(name)
    return undefined
  }

  finish(): void {
    const [unknown] = this.#rest.keys()
    if (unknown !== undefined) throw new InvalidSpec(`${this.#field}.${unknown}`, this.#rest.get(unknown), 'no such field: it would have no effect')
  }

  #take<T>(name: string, read: (value: unknown, field: string) => T): T {
    const value = read(this.#rest.get(name), `${this.#field}.${name}`)
    this.#rest.delete(name)
    return value
  }
}

function readText(value: unknown, field: string): string {
  if (typeof value !== 'string') throw new InvalidSpec(field, value, 'a text')
  return value
}

function readList(value: unknown, field: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new InvalidSpec(field, value, 'a list')
  return value
}

function readTexts(value: unknown, field: string): string[] {
  return readList(value, field).map((item, index) => readText(item, `${field}[${index}]`))
}

function readErrno(value: unknown, field: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > highestData) throw new InvalidSpec(field, value, `a whole number from 0 to ${highestData}`)
  return value
}

/** An argument's 64 bits. A JSON number beyond 2^53 has lost some of them, so it is refused. */
function readWord(value: unknown, field: string): bigint {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return BigInt(value)
  throw new InvalidSpec(field, value, `a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`)
}
