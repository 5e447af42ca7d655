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

const minSecretLength = 6
/** A line of a longer value that may be a secret by itself. */
const minLineLength = 16
const maxPatternLength = 64 * 1024

/** Everything to search for a secret. Empty when its value is too short, or public. */
export function secretPatterns(secret: string, value: Uint8Array): SecretPattern[] {
  const trimmed = trim(value)
  const text = trimmed.toString('latin1')
  if (isTooShort(value) || isPublic(text)) return []
  const patterns = [trimmed, ...secretLines(text).map((line) => Buffer.from(line, 'latin1'))].flatMap((bytes) => patternsOf(secret, bytes.subarray(0, maxPatternLength)))
  return [...new Map(patterns.map((pattern) => [`${pattern.isLoose} ${pattern.text}`, pattern])).values()]
}

/** Whether it would be found everywhere by chance. */
export function isTooShort(value: Uint8Array): boolean {
  return trim(value).length < minSecretLength
}

/** Programs read a value without the line break at its end. */
function trim(value: Uint8Array): Buffer {
  let length = value.byteLength
  while (value[length - 1] === 0x0a || value[length - 1] === 0x0d) length -= 1
  return Buffer.from(value.buffer, value.byteOffset, length)
}

const publicBlocks = /-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE|X509 CRL|(?:RSA )?PUBLIC KEY)-----.*?-----END \1-----/gsu
const privateBlocks = /-----BEGIN ([A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?)-----(.*?)-----END \1-----/gsu

/** Certificates and public keys, with comments: images are full of those that a bundle of authorities has. */
function isPublic(value: string): boolean {
  const rest = value.replaceAll(publicBlocks, '')
  return rest !== value && rest.split('\n').every((line) => /^\s*(?:#|$)/u.test(line))
}

/**
 * The lines of a longer value that give something away by themselves: those of a private key, and those with a
 * random word or an assignment to a telling name. Other files hold the rest too, `<?xml version="1.0"?>` or `region = eu-west-1`.
 */
function secretLines(value: string): string[] {
  if (!value.includes('\n')) return []
  const keys = [...value.matchAll(privateBlocks)].flatMap(([, , body = '']) => body.split(/\r?\n/u))
  const others = value.replaceAll(publicBlocks, '').replaceAll(privateBlocks, '').split(/\r?\n/u).filter((line) => isTelling(line))
  return [...keys, ...others].filter((line) => line.length >= minLineLength)
}

function isTelling(line: string): boolean {
  return /(?:pass|secret|token|credential|auth|key)[\w.-]*["']?\s*[=:>]/iu.test(line) || (line.match(/\w{12,}/gu) ?? []).some((word) => /\d/u.test(word) && /[A-Za-z]/u.test(word))
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
