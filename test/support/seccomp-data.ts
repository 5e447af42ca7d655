/** One call as a filter sees it. @see linux/seccomp.h struct seccomp_data */
export interface SeccompData {
  readonly number: number
  readonly audit: number
  readonly args: readonly bigint[]
}

/** Runs a classic BPF program as the kernel does, with the few instructions that filters use. @returns what it gives back */
export function runFilter(program: Uint8Array, { number, audit, args }: SeccompData): number {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength)
  const data = new DataView(new ArrayBuffer(64))
  data.setUint32(0, number, true)
  data.setUint32(4, audit, true)
  args.forEach((arg, index) => { data.setBigUint64(16 + 8 * index, arg, true) })
  let accumulator = 0
  for (let at = 0; at * 8 < program.byteLength; at += 1) {
    const code = view.getUint16(at * 8, true)
    const operand = view.getUint32(at * 8 + 4, true)
    const jump = (isTrue: boolean): void => { at += view.getUint8(at * 8 + (isTrue ? 2 : 3)) }
    switch (code) {
      case 0x20: accumulator = data.getUint32(operand, true); break
      case 0x54: accumulator = (accumulator & operand) >>> 0; break
      case 0x05: at += operand; break
      case 0x15: jump(accumulator === operand); break
      case 0x25: jump(accumulator > operand); break
      case 0x35: jump(accumulator >= operand); break
      case 0x06: return operand
      default: throw new RangeError(`instruction ${at} has code ${code}`)
    }
  }
  throw new RangeError('the program runs off its end')
}
