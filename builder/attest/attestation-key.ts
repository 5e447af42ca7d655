import type { KeyObject } from 'node:crypto'
import { createPrivateKey, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { AttestationKeyUnusable } from './errors.ts'

/** Signs statements. What the key is stays inside. */
export interface AttestationSigner {
  readonly sign: (bytes: Uint8Array) => Uint8Array
}

/** Of kinds for which everybody who verifies takes the same hash. */
const curve = 'prime256v1'

/** A signer with the private key in this file, PEM without passphrase. @throws {AttestationKeyUnusable} */
export function openAttestationKey(path: string): AttestationSigner {
  const key = readKey(path)
  const isKnown = key.asymmetricKeyType === 'ed25519' || key.asymmetricKeyType === 'rsa' || (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === curve)
  if (!isKnown) throw new AttestationKeyUnusable(path, `it is of type ${key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? 'unknown'}, want EC P-256, Ed25519 or RSA`)
  const hash = key.asymmetricKeyType === 'ed25519' ? undefined : 'sha256'
  return { sign: (bytes) => sign(hash, bytes, key) }
}

function readKey(path: string): KeyObject {
  let text: string
  try {
    text = readFileSync(path, 'latin1')
  } catch (error) {
    throw new AttestationKeyUnusable(path, 'it cannot be read', { cause: error })
  }
  if (text.includes('SIGSTORE PRIVATE KEY')) throw new AttestationKeyUnusable(path, 'it has the encrypted form that is cosign\'s own; make one with "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256", which "cosign import-key-pair" takes too')
  if (/ENCRYPTED/u.test(text)) throw new AttestationKeyUnusable(path, 'it has a passphrase; "openssl pkey" writes one without')
  try {
    return createPrivateKey(text)
  } catch (error) {
    // What is no key makes the decoders fail in many ways, all of which say the same.
    throw new AttestationKeyUnusable(path, 'it holds no private key in PEM', { cause: error })
  }
}
