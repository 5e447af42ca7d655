import type { Abi } from './machine.ts'
import { auditNumbers, x32Bit } from './machine.ts'
import type { ArgumentTest } from './profile.ts'
import { actions } from './profile.ts'
import type { AbiRules, CallRule } from './select-rules.ts'

/** struct sock_filter. @see linux/filter.h */
export interface Instruction {
  readonly code: number
  readonly whenTrue: number
  readonly whenFalse: number
  readonly operand: number
}

const load = 0x20
const and = 0x54
const jump = 0x05
const jumpIfEqual = 0x15
const jumpIfGreater = 0x25
const jumpIfAtLeast = 0x35
const giveBack = 0x06

/** Offsets in struct seccomp_data. */
const numberAt = 0
const archAt = 4
const argumentsAt = 16

const farthestJump = 255
const notImplemented = 38

/** The ABIs that share an audit number, and the default action. */
export interface FilterParts {
  readonly abis: readonly AbiRules[]
  readonly defaultAction: number
}

/**
 * The filter: by ABI a balanced search in the call's number, so that the deepest path has some ten comparisons where a
 * chain has hundreds. A call of an ABI that is not filtered kills the process.
 */
export function assembleFilter({ abis, defaultAction }: FilterParts): Instruction[] {
  const groups = Map.groupBy(abis, ({ abi }) => auditNumbers[abi])
  return [
    make(load, archAt),
    ...[...groups].flatMap(([audit, members]) => section(jumpIfEqual, audit, [make(load, numberAt), ...numberSpaces(members, defaultAction)])),
    make(giveBack, actions.SCMP_ACT_KILL_PROCESS),
  ]
}

/** x86_64 and x32 are told apart by a bit of the number. */
function numberSpaces(members: readonly AbiRules[], defaultAction: number): Instruction[] {
  const find = (abi: Abi): AbiRules | undefined => members.find((member) => member.abi === abi)
  const [first] = members
  if (first?.abi !== 'x86_64' && first?.abi !== 'x32') return first === undefined ? [] : search(segments(first, defaultAction))
  const closed = [make(giveBack, actions.SCMP_ACT_KILL_PROCESS)]
  const native = find('x86_64')
  const x32 = find('x32')
  return [
    ...section(jumpIfAtLeast, x32Bit, x32 === undefined ? closed : search(segments(x32, defaultAction))),
    ...(native === undefined ? closed : search(segments(native, defaultAction))),
  ]
}

/** Code that is passed over unless the test holds; it never runs off its end. */
function section(code: number, operand: number, body: readonly Instruction[]): Instruction[] {
  return [make(code, operand, 1, 0), make(jump, body.length), ...body]
}

/** The numbers from `start` to the next segment, which all lead to the same, but for at most one. */
interface Segment {
  readonly start: number
  readonly code: readonly Instruction[]
  readonly except?: { readonly number: number; readonly code: readonly Instruction[] }
}

function segments({ abi, calls, highest }: AbiRules, defaultAction: number): Segment[] {
  const offset = abi === 'x32' ? x32Bit : 0
  const isRefusal = (defaultAction & 0xffff_0000) >>> 0 === actions.SCMP_ACT_ERRNO
  /* Newer calls than the profile knows do not exist for it: with EPERM a C library would not try the older one. */
  const beyond = isRefusal ? actions.SCMP_ACT_ERRNO | notImplemented : defaultAction
  const starts = [...new Set([0, ...[...calls.keys()].flatMap((number) => [number, number + 1]), highest + 1])].sort((one, other) => one - other)
  const all = starts.map((start): Segment => {
    const rule = calls.get(start)
    return { start: start + offset, code: rule === undefined ? [make(giveBack, start > highest ? beyond : defaultAction)] : decide(rule, { defaultAction, isNarrow: narrow.includes(abi) }) }
  })
  return all.filter(({ code }, index) => index === 0 || !isSame(code, all[index - 1]?.code))
}

function isSame(one: readonly Instruction[], other: readonly Instruction[] | undefined): boolean {
  const [first] = one
  const [second] = other ?? []
  return one.length === 1 && other?.length === 1 && first?.operand === second?.operand
}

/** A call between two that lead to the same takes one comparison instead of two. */
function foldExceptions(all: readonly Segment[]): Segment[] {
  const folded: Segment[] = []
  for (let at = 0; at < all.length; at += 1) {
    const [before, here, after] = all.slice(at, at + 3)
    if (before === undefined) break
    const isAlone = here !== undefined && after?.start === here.start + 1 && isSame(before.code, after.code)
    folded.push(isAlone ? { ...before, except: { number: here.start, code: here.code } } : before)
    if (isAlone) at += 2
  }
  return folded
}

function search(found: readonly Segment[]): Instruction[] {
  const block = new Block()
  placeSearch(block, foldExceptions(found))
  return block.instructions
}

function placeSearch(block: Block, found: readonly Segment[]): number {
  const [only] = found
  if (found.length === 1 && only !== undefined) return placeSegment(block, only)
  const middle = found.length >> 1
  const [left, right] = [found.slice(0, middle), found.slice(middle)]
  const below = placeSearch(block, left)
  const above = placeSearch(block, right)
  return block.branch({ code: jumpIfAtLeast, operand: right[0]?.start ?? 0, whenTrue: above, whenFalse: below })
}

function placeSegment(block: Block, { code, except }: Segment): number {
  if (except === undefined) return block.end(code)
  const usual = block.end(code)
  return block.branch({ code: jumpIfEqual, operand: except.number, whenTrue: block.end(except.code), whenFalse: usual })
}

/**
 * Code put together from its last instruction to its first, so that where a jump leads is known when it is made. Ends that
 * only give back are shared, which halves the program and the time the kernel takes to check and translate it.
 */
class Block {
  /** The last one first; places are indexes into this. */
  readonly #code: Instruction[] = []
  readonly #ends = new Map<number, number>()

  get instructions(): Instruction[] {
    return this.#code.toReversed()
  }

  /** A place where this code begins, which runs into nothing. */
  end(code: readonly Instruction[]): number {
    const [only] = code
    const known = only === undefined || code.length > 1 ? undefined : this.#ends.get(only.operand)
    if (known !== undefined && this.#isNear(known)) return known
    this.#code.push(...code.toReversed())
    const place = this.#code.length - 1
    if (only !== undefined && code.length === 1) this.#ends.set(only.operand, place)
    return place
  }

  /** A comparison that goes to either place. */
  branch({ code, operand, whenTrue, whenFalse }: Instruction): number {
    const yes = this.#bring(whenTrue)
    const no = this.#bring(whenFalse)
    const at = this.#code.length
    return this.#code.push(make(code, operand, at - yes - 1, at - no - 1)) - 1
  }

  /** With room for the jumps and ends that `branch` may put in between. */
  #isNear(place: number): boolean {
    return this.#code.length - place <= farthestJump - 2
  }

  #bring(place: number): number {
    if (this.#isNear(place)) return place
    return this.#code.push(make(jump, this.#code.length - place - 1)) - 1
  }
}

/** The kernel takes the lower half of their arguments only. */
const narrow: readonly Abi[] = ['x86', 'x32', 'arm']

function decide(rule: CallRule, { defaultAction, isNarrow }: { readonly defaultAction: number; readonly isNarrow: boolean }): Instruction[] {
  if (rule.kind === 'always') return [make(giveBack, rule.action)]
  return [...rule.alternatives.flatMap(({ tests, action }) => chain(tests.map(isNarrow ? testLowHalf : testArgument), action)), make(giveBack, defaultAction)]
}

/** Where an instruction of a test goes: on, to the end of the test, or out of the whole alternative. */
type Goal = 'on' | 'pass' | 'fail'
interface Step { readonly code: number; readonly operand: number; readonly whenTrue?: Goal; readonly whenFalse?: Goal }

function chain(tests: readonly (readonly Step[])[], action: number): Instruction[] {
  const total = tests.reduce((sum, test) => sum + test.length, 0)
  let at = 0
  const code = tests.flatMap((test) => {
    const end = at + test.length
    return test.map(({ code: operation, operand, whenTrue = 'on', whenFalse = 'on' }) => {
      at += 1
      const distance = (goal: Goal): number => goal === 'on' ? 0 : goal === 'pass' ? end - at : total + 1 - at
      return make(operation, operand, distance(whenTrue), distance(whenFalse))
    })
  })
  return [...code, make(giveBack, action)]
}

/** 64 bits are compared as two halves, the high one first. */
function testArgument({ index, op, value, valueTwo }: ArgumentTest): Step[] {
  const low: Step = { code: load, operand: argumentsAt + 8 * index }
  const high: Step = { code: load, operand: argumentsAt + 8 * index + 4 }
  const [h, l] = halves(value)
  switch (op) {
    case 'EQ': return [high, { code: jumpIfEqual, operand: h, whenFalse: 'fail' }, low, { code: jumpIfEqual, operand: l, whenFalse: 'fail' }]
    case 'NE': return [high, { code: jumpIfEqual, operand: h, whenFalse: 'pass' }, low, { code: jumpIfEqual, operand: l, whenTrue: 'fail' }]
    case 'GT': return [high, { code: jumpIfGreater, operand: h, whenTrue: 'pass' }, { code: jumpIfEqual, operand: h, whenFalse: 'fail' }, low, { code: jumpIfGreater, operand: l, whenFalse: 'fail' }]
    case 'GE': return [high, { code: jumpIfGreater, operand: h, whenTrue: 'pass' }, { code: jumpIfEqual, operand: h, whenFalse: 'fail' }, low, { code: jumpIfAtLeast, operand: l, whenFalse: 'fail' }]
    case 'LT': return [high, { code: jumpIfGreater, operand: h, whenTrue: 'fail' }, { code: jumpIfEqual, operand: h, whenFalse: 'pass' }, low, { code: jumpIfAtLeast, operand: l, whenTrue: 'fail' }]
    case 'LE': return [high, { code: jumpIfGreater, operand: h, whenTrue: 'fail' }, { code: jumpIfEqual, operand: h, whenFalse: 'pass' }, low, { code: jumpIfGreater, operand: l, whenTrue: 'fail' }]
    case 'MASKED_EQ': {
      const [wantedHigh, wantedLow] = halves(valueTwo & value)
      return [
        high, { code: and, operand: h }, { code: jumpIfEqual, operand: wantedHigh, whenFalse: 'fail' },
        low, { code: and, operand: l }, { code: jumpIfEqual, operand: wantedLow, whenFalse: 'fail' },
      ]
    }
  }
}

function testLowHalf({ index, op, value, valueTwo }: ArgumentTest): Step[] {
  const low: Step = { code: load, operand: argumentsAt + 8 * index }
  const [, operand] = halves(value)
  switch (op) {
    case 'EQ': return [low, { code: jumpIfEqual, operand, whenFalse: 'fail' }]
    case 'NE': return [low, { code: jumpIfEqual, operand, whenTrue: 'fail' }]
    case 'GT': return [low, { code: jumpIfGreater, operand, whenFalse: 'fail' }]
    case 'GE': return [low, { code: jumpIfAtLeast, operand, whenFalse: 'fail' }]
    case 'LT': return [low, { code: jumpIfAtLeast, operand, whenTrue: 'fail' }]
    case 'LE': return [low, { code: jumpIfGreater, operand, whenTrue: 'fail' }]
    case 'MASKED_EQ': return [low, { code: and, operand }, { code: jumpIfEqual, operand: halves(valueTwo & value)[1], whenFalse: 'fail' }]
  }
}

function halves(value: bigint): [high: number, low: number] {
  return [Number(value >> 32n), Number(value & 0xffff_ffffn)]
}

// eslint-disable-next-line max-params
function make(code: number, operand: number, whenTrue = 0, whenFalse = 0): Instruction {
  return { code, whenTrue, whenFalse, operand: operand >>> 0 }
}
