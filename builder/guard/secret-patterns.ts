/** How a secret's value may be written down. */
export type Encoding = 'plain' | 'base64' | 'hex' | 'url-encoded'

/** Bytes that give a secret away, as latin1 text. */
export interface SecretPattern {
  readonly secret: string
  readonly encoding: Encoding
  readonly text: string
  /** Found across blanks and line breaks too: encoders break lines. */
  readonly isLoose: boolean
}

/** A shorter value would be found everywhere by chance. */
export const minSecretLength = 6
/** A line of a longer value that is a secret by itself, a line of a key for example. */
const minLineLength = 16
const maxPatternLength = 64 * 1024

/** Everything to search for a secret. Empty when its value is too short. */
export function secretPatterns(secret: string, value: Uint8Array): SecretPattern[] {
  const whole = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  const trimmed = Buffer.from(whole.toString('latin1').replace(/[\r\n]+$/u, ''), 'latin1')
  if (trimmed.length < minSecretLength) return []
  const lines = trimmed.toString('latin1').split(/\r?\n/u)
  const long = lines.length < 2 ? [] : lines.filter((line) => line.length >= minLineLength && !line.startsWith('-----')).map((line) => Buffer.from(line, 'latin1'))
  const patterns = [trimmed, ...long].flatMap((bytes) => patternsOf(secret, bytes.subarray(0, maxPatternLength)))
  return [...new Map(patterns.map((pattern) => [`${pattern.isLoose} ${pattern.text}`, pattern])).values()]
}

function patternsOf(secret: string, bytes: Buffer): SecretPattern[] {
  const hex = bytes.toString('hex')
  return [
    { secret, encoding: 'plain', text: bytes.toString('latin1'), isLoose: false },
    ...base64Forms(bytes).map((text): SecretPattern => ({ secret, encoding: 'base64', text, isLoose: true })),
    ...[hex, hex.toUpperCase()].map((text): SecretPattern => ({ secret, encoding: 'hex', text, isLoose: true })),
    ...urlForms(bytes).map((text): SecretPattern => ({ secret, encoding: 'url-encoded', text, isLoose: false })),
  ]
}

/** Inside a longer text a value starts at any of three places of a group; only the characters that are all its own count. */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const shifted = Buffer.concat([Buffer.alloc(offset), bytes])
    const own = [Math.ceil(offset * 8 / 6), Math.floor(shifted.length * 8 / 6)] as const
    return [shifted.toString('base64').slice(...own), shifted.toString('base64url').slice(...own)]
  })
}

/** Programs differ in what they leave as it is, in the case of digits, and in how they write a blank. */
function urlForms(bytes: Buffer): string[] {
  const escape = (unreserved: RegExp): string => bytes.toString('latin1').replaceAll(/[\s\S]/gu, (char) => unreserved.test(char) ? char : `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
  const plain = bytes.toString('latin1')
  const forms = [escape(/[\w.~-]/u), escape(/[\w.~!'()*-]/u), escape(/[\w.~/-]/u), escape(/[\w.~ -]/u).replaceAll(' ', '+')]
  return [...new Set([...forms, ...forms.map((form) => form.replaceAll(/%[0-9A-F]{2}/gu, (code) => code.toLowerCase()))])].filter((form) => form !== plain)
}
