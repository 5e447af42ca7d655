/** Of bytes whose memory is theirs alone: how many readers are not done with them; undefined while nobody said. */
const readers = new WeakMap<Uint8Array, number | undefined>()

/**
 * Says that nobody but those who are given these bytes will ever look at their memory. The garbage collector frees buffers
 * late, and collects everything because of what they hold: a transfer has thousands of them.
 */
export function makeSpendable(bytes: Uint8Array): void {
  if (bytes.buffer instanceof ArrayBuffer && bytes.buffer.byteLength === bytes.byteLength) readers.set(bytes, undefined)
}

/** Each of so many readers calls `spend` when it is done. Does nothing to bytes that are not spendable. */
export function expectReaders(bytes: Uint8Array, count: number): void {
  if (readers.has(bytes)) readers.set(bytes, count)
}

/** The last reader frees the memory. */
export function spend(bytes: Uint8Array): void {
  const left = readers.get(bytes)
  if (left === undefined) return
  if (left > 1) readers.set(bytes, left - 1)
  else if (readers.delete(bytes) && bytes.buffer instanceof ArrayBuffer) bytes.buffer.transfer(0)
}
