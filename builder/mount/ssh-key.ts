import type { JsonWebKey, KeyObject } from 'node:crypto'
import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { FieldReader, field, integerField } from './ssh-wire.ts'

/** A private key that an agent offers. */
export interface SshKey {
  /** As the protocol names it: what clients ask to sign with. */
  readonly publicBlob: Buffer
  /** What `ssh-add -l` shows. */
  readonly comment: string
  /** The signature as the protocol has it. `flags` choose the hash for RSA. */
  readonly sign: (data: Buffer, flags: number) => Buffer
}

/** Why a file holds no key we can take. */
export type KeyProblem = 'encrypted' | 'malformed' | 'unsupported'

/** @see draft-miller-ssh-agent "Signature flags" */
const sha256Flag = 2
const sha512Flag = 4

const curves: Readonly<Record<string, { readonly name: string; readonly jwk: string; readonly hash: string; readonly bytes: number }>> = {
  prime256v1: { name: 'nistp256', jwk: 'P-256', hash: 'sha256', bytes: 32 },
  secp384r1: { name: 'nistp384', jwk: 'P-384', hash: 'sha384', bytes: 48 },
  secp521r1: { name: 'nistp521', jwk: 'P-521', hash: 'sha512', bytes: 66 },
}

/** Reads a private key without passphrase, in OpenSSH's own form or as PEM. */
export function parseSshKey(text: string, comment: string): SshKey | KeyProblem {
  try {
    const armored = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END OPENSSH PRIVATE KEY-----/u.exec(text)?.[1]
    if (armored !== undefined) return parseOpenssh(Buffer.from(armored, 'base64'), comment)
    if (/^(?:Proc-Type: 4,ENCRYPTED|-----BEGIN ENCRYPTED PRIVATE KEY-----)/mu.test(text)) return 'encrypted'
    return createKey(createPrivateKey(text), comment)
  } catch (error) {
    // What is no key makes the decoders fail in many ways, all of which say the same.
    if (error instanceof Error) return 'malformed'
    throw error
  }
}

/** @see OpenSSH PROTOCOL.key */
function parseOpenssh(bytes: Buffer, givenComment: string): SshKey | KeyProblem {
  const magic = Buffer.from('openssh-key-v1\0')
  if (!bytes.subarray(0, magic.length).equals(magic)) return 'malformed'
  const outer = new FieldReader(bytes.subarray(magic.length))
  const cipher = outer.text()
  outer.bytes()
  outer.bytes()
  if (cipher !== 'none') return 'encrypted'
  if (outer.uint32() !== 1) return 'unsupported'
  outer.bytes()
  const inner = new FieldReader(outer.bytes())
  if (inner.uint32() !== inner.uint32()) return 'malformed'
  const jwk = readJwk(inner)
  if (jwk === undefined) return 'unsupported'
  const comment = inner.text()
  return createKey(createPrivateKey({ key: jwk, format: 'jwk' }), comment === '' ? givenComment : comment)
}

function readJwk(fields: FieldReader): JsonWebKey | undefined {
  const type = fields.text()
  if (type === 'ssh-ed25519') {
    const x = fields.bytes()
    return { kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url'), d: fields.bytes().subarray(0, 32).toString('base64url') }
  }
  if (type === 'ssh-rsa') {
    const [n, e, d, qi, p, q] = [fields.integer(), fields.integer(), fields.integer(), fields.integer(), fields.integer(), fields.integer()]
    const [dp, dq] = [p, q].map((prime) => toBytes(toBigInt(d) % (toBigInt(prime) - 1n)))
    return { kty: 'RSA', ...encodeAll({ n, e, d, p, q, qi, dp: dp ?? d, dq: dq ?? d }) }
  }
  const curve = Object.values(curves).find(({ name }) => type === `ecdsa-sha2-${name}`)
  if (curve === undefined) return undefined
  fields.text()
  const point = fields.bytes()
  const padded = Buffer.alloc(curve.bytes)
  const scalar = fields.integer()
  scalar.copy(padded, curve.bytes - scalar.length)
  return { kty: 'EC', crv: curve.jwk, ...encodeAll({ x: point.subarray(1, 1 + curve.bytes), y: point.subarray(1 + curve.bytes), d: padded }) }
}

function encodeAll(numbers: Readonly<Record<string, Buffer>>): Record<string, string> {
  return Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, value.toString('base64url')]))
}

function createKey(key: KeyObject, comment: string): SshKey | KeyProblem {
  const jwk = createPublicKey(key).export({ format: 'jwk' })
  const part = (name: 'n' | 'e' | 'x' | 'y'): Buffer => Buffer.from(jwk[name] ?? '', 'base64url')
  switch (key.asymmetricKeyType) {
    case 'ed25519': return {
      comment, publicBlob: Buffer.concat([field('ssh-ed25519'), field(part('x'))]),
      sign: (data) => Buffer.concat([field('ssh-ed25519'), field(sign(null, data, key))]),
    }
    case 'rsa': return {
      comment, publicBlob: Buffer.concat([field('ssh-rsa'), integerField(part('e')), integerField(part('n'))]),
      sign: (data, flags) => {
        const [name, hash] = flags & sha512Flag ? ['rsa-sha2-512', 'sha512'] : flags & sha256Flag ? ['rsa-sha2-256', 'sha256'] : ['ssh-rsa', 'sha1']
        return Buffer.concat([field(name), field(sign(hash, data, key))])
      },
    }
    case 'ec': {
      const curve = curves[key.asymmetricKeyDetails?.namedCurve ?? '']
      if (curve === undefined) return 'unsupported'
      const type = field(`ecdsa-sha2-${curve.name}`)
      return {
        comment, publicBlob: Buffer.concat([type, field(curve.name), field(Buffer.concat([Buffer.from([4]), part('x'), part('y')]))]),
        sign: (data) => {
          const pair = sign(curve.hash, data, { key, dsaEncoding: 'ieee-p1363' })
          return Buffer.concat([type, field(Buffer.concat([integerField(pair.subarray(0, curve.bytes)), integerField(pair.subarray(curve.bytes))]))])
        },
      }
    }
    case undefined:
    default: return 'unsupported'
  }
}

function toBigInt(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex') || '0'}`)
}

function toBytes(number: bigint): Buffer {
  const hex = number.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
}
