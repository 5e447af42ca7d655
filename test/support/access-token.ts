/** Access tokens as docker-registry wants them: JSON web tokens signed with a key whose certificate it trusts. */
import { randomUUID, sign, X509Certificate } from 'node:crypto'
import type { Certificate } from './certificates.ts'

export interface TokenContent {
  readonly issuer: string
  readonly service: string
  readonly scopes: readonly string[]
  readonly lifeSeconds: number
}

/** @see distribution, "Docker Registry v2 Bearer token specification" */
export function createAccessToken(signer: Certificate, { issuer, service, scopes, lifeSeconds }: TokenContent): string {
  const now = Math.floor(Date.now() / 1000)
  const access = scopes.map((scope) => {
    const [type, name, actions = ''] = scope.split(':')
    return { type, name, actions: actions.split(',') }
  })
  const header = { typ: 'JWT', alg: 'ES256', x5c: [new X509Certificate(signer.cert).raw.toString('base64')] }
  const claims = { iss: issuer, sub: 'user', aud: service, iat: now, nbf: now - 60, exp: now + lifeSeconds, jti: randomUUID(), access }
  const content = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  const signature = sign('sha256', Buffer.from(content), { key: signer.key, dsaEncoding: 'ieee-p1363' })
  return `${content}.${signature.toString('base64url')}`
}
