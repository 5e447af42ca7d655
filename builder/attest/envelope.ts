import type { AttestationSigner } from './attestation-key.ts'

export const envelopeType = 'application/vnd.dsse.envelope.v1+json'
const payloadType = 'application/vnd.in-toto+json'

/** A statement with its signature. @see DSSE "protocol" and "envelope" */
export function encodeEnvelope(statement: Uint8Array, signer: AttestationSigner): Uint8Array {
  const signed = Buffer.concat([Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${statement.byteLength} `), statement])
  return Buffer.from(JSON.stringify({
    payloadType,
    payload: Buffer.from(statement).toString('base64'),
    signatures: [{ keyid: '', sig: Buffer.from(signer.sign(signed)).toString('base64') }],
  }))
}
