import type { DeviceRule } from './driver.ts'

/** struct bpf_insn. @see linux/bpf.h */
interface Instruction {
  readonly code: number
  readonly target?: number
  readonly source?: number
  readonly offset?: number
  readonly value?: number
}

const loadWord = 0x61
const moveRegister = 0xbf
const moveValue = 0xb7
const and32 = 0x54
const shiftRight = 0x77
const jumpIfNotEqual = 0x55
const leave = 0x95

const instructionBytes = 8
/** BPF_DEVCG_DEV_* and BPF_DEVCG_ACC_*. */
const kinds = { b: 1, c: 2 } as const
const accesses: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 }

/**
 * The program of version 2 that allows what the rules say and nothing else: r2 the kind, r3 the access, r4 and r5 the
 * numbers, all from struct bpf_cgroup_dev_ctx.
 */
export function deviceProgram(rules: readonly DeviceRule[]): Uint8Array {
  const instructions: Instruction[] = [
    { code: loadWord, target: 2, source: 1, offset: 0 },
    { code: moveRegister, target: 3, source: 2 },
    { code: and32, target: 2, value: 0xffff },
    { code: shiftRight, target: 3, value: 16 },
    { code: loadWord, target: 4, source: 1, offset: 4 },
    { code: loadWord, target: 5, source: 1, offset: 8 },
    ...rules.flatMap(test),
    { code: moveValue, target: 0, value: 0 },
    { code: leave },
  ]
  const bytes = Buffer.alloc(instructions.length * instructionBytes)
  instructions.forEach(({ code, target = 0, source = 0, offset = 0, value = 0 }, index) => {
    const at = index * instructionBytes
    bytes.writeUInt8(code, at)
    bytes.writeUInt8(target | source << 4, at + 1)
    bytes.writeInt16LE(offset, at + 2)
    bytes.writeInt32LE(value, at + 4)
  })
  return bytes
}

/** Falls through to the next rule unless everything fits. */
function test({ kind, major, minor, permissions }: DeviceRule): Instruction[] {
  const forbidden = Object.entries(accesses).reduce((mask, [letter, bit]) => permissions.includes(letter) ? mask : mask | bit, 0)
  const tests: Instruction[] = [
    { code: jumpIfNotEqual, target: 2, value: kinds[kind] },
    ...(forbidden === 0 ? [] : [{ code: moveRegister, target: 1, source: 3 }, { code: and32, target: 1, value: forbidden }, { code: jumpIfNotEqual, target: 1, value: 0 }]),
    ...(major === undefined ? [] : [{ code: jumpIfNotEqual, target: 4, value: major }]),
    ...(minor === undefined ? [] : [{ code: jumpIfNotEqual, target: 5, value: minor }]),
  ]
  const whole = [...tests, { code: moveValue, target: 0, value: 1 }, { code: leave }]
  return whole.map((instruction, index) => instruction.code === jumpIfNotEqual ? { ...instruction, offset: whole.length - index - 1 } : instruction)
}
