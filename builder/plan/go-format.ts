/** How Go prints values, where history shows what Docker's builder prints: tools compare these texts. */

const units = [['h', 3_600_000_000_000], ['m', 60_000_000_000]] as const
const controls: Readonly<Record<number, string>> = { 7: '\\a', 8: '\\b', 9: '\\t', 10: '\\n', 11: '\\v', 12: '\\f', 13: '\\r', 39: "\\'", 92: '\\\\' }

/** `1m0s`, `1.5s`, `200ms`. */
export function goDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return '0s'
  if (nanoseconds < 1000) return `${nanoseconds}ns`
  if (nanoseconds < 1_000_000) return `${nanoseconds / 1000}µs`
  if (nanoseconds < 1_000_000_000) return `${nanoseconds / 1_000_000}ms`
  let text = ''
  let rest = nanoseconds
  for (const [unit, size] of units) {
    if (text === '' && rest < size) continue
    text += `${Math.floor(rest / size)}${unit}`
    rest %= size
  }
  return `${text}${rest / 1_000_000_000}s`
}

/** A number as `%q` prints it: the character it is the code of. */
export function goQuotedRune(number: number): string {
  const control = controls[number]
  if (control !== undefined) return `'${control}'`
  return number < 0x20 || number === 0x7f ? `'\\x${number.toString(16).padStart(2, '0')}'` : `'${number > 0x10ffff ? '\ufffd' : String.fromCodePoint(number)}'`
}
