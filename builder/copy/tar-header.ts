export const tarHeaderBytes = 512

/** Whether a block is a tar's header: a sum of its bytes, its own field taken as blanks. Old programs added them as signed. */
export function isTarHeader(block: Buffer): boolean {
  if (block.length < tarHeaderBytes) return false
  const written = Number.parseInt(block.toString('latin1', 148, 156).replace(/[\0 ]/gu, ''), 8)
  let unsigned = 0
  let signed = 0
  for (const [index, byte] of block.entries()) {
    const value = index >= 148 && index < 156 ? 0x20 : byte
    unsigned += value
    signed += value > 127 ? value - 256 : value
  }
  return written === unsigned || written === signed
}
