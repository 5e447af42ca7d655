import { MalformedDocument } from '../../oci/errors.ts'
import { parseDocument } from '../../oci/json.ts'
import type { Credential } from '../config/credential-file.ts'
import { Secret } from '../config/secret.ts'
import { AccessDenied, InvalidAnswer, UnexpectedStatus } from '../errors.ts'
import { readDocument } from './document.ts'
import type { Limits } from './limits.ts'
import { maxTokenBytes } from './limits.ts'
import type { HttpRequest, Sender, Transport, Trust } from './message.ts'
import { bytesBody } from './message.ts'
import { readRefusal } from './refusal.ts'

export interface TokenRequest {
  /** What the registry that wants the token is called in messages. */
  readonly registry: string
  readonly realm: URL
  readonly service: string | undefined
  readonly scopes: readonly string[]
  readonly credential: Credential | undefined
  /** undefined when the realm is on the registry's own origin. */
  readonly sentBy: Sender | undefined
  readonly trust: Trust
}

export interface Token {
  readonly text: Secret
  readonly expiresAtMs: number
}

/** What the specification says of an answer that does not say it. */
const defaultLifeMs = 60_000
const maxLifeMs = 3_600_000
/** A token is not used in its last moments, so that it does not expire on the way. */
const marginMs = 5_000
const clientId = 'tsbuild'

/**
 * Asks the token service once. Redirects are not followed: the request carries the credentials themselves.
 * @throws {AccessDenied} @throws {UnexpectedStatus} @throws {InvalidAnswer}
 * @see distribution, "Token Authentication Specification", "OAuth2 Token Authentication"
 */
export async function requestToken(request: TokenRequest, transport: Transport, { limits, signal }: { limits: Limits; signal: AbortSignal }): Promise<Token> {
  const { host } = request.realm
  const what = 'get an access token'
  const answer = await transport.send({ ...tokenRequest(request), answerMs: limits.answerMs }, signal)
  if (answer.status === 401 || answer.status === 403) {
    await answer.discard()
    throw new AccessDenied(what, request.registry, { hasCredentials: request.credential !== undefined, text: `sends us to "${host}", which answered ${answer.status}` })
  }
  if (answer.status !== 200) {
    const { codes, text, retryAfterMs } = await readRefusal(answer, secretsOf(request.credential))
    throw new UnexpectedStatus(what, { host, status: answer.status, registryCodes: codes, text, retryAfterMs })
  }
  return parseToken(await readDocument(answer, { what, host, maxBytes: maxTokenBytes, withinMs: limits.documentMs }), host)
}

function tokenRequest(request: TokenRequest): Omit<HttpRequest, 'answerMs'> {
  const { credential, scopes, service, trust, sentBy } = request
  const shared = { trust, sentBy }
  if (credential?.kind === 'identity-token') {
    const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: clientId, scope: scopes.join(' '), refresh_token: credential.token.reveal() })
    if (service !== undefined) form.set('service', service)
    return { ...shared, method: 'POST', url: request.realm, headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: bytesBody(Buffer.from(form.toString())) }
  }
  const url = new URL(request.realm)
  if (service !== undefined) url.searchParams.set('service', service)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  if (credential?.kind !== 'password') return { ...shared, method: 'GET', url, headers: {}, body: undefined }
  url.searchParams.set('account', credential.username)
  return { ...shared, method: 'GET', url, headers: { authorization: basicAuthorization(credential) }, body: undefined }
}

export function basicAuthorization({ username, password }: { username: string; password: Secret }): string {
  return `Basic ${Buffer.from(`${username}:${password.reveal()}`).toString('base64')}`
}

/** Every text by which the credential could show in an answer. */
export function secretsOf(credential: Credential | undefined): string[] {
  if (credential === undefined) return []
  if (credential.kind !== 'password') return [credential.token.reveal()]
  return [credential.password.reveal(), basicAuthorization(credential).slice('Basic '.length)]
}

function parseToken(bytes: Buffer, host: string): Token {
  const fail = (problem: string): never => {
    throw new InvalidAnswer('get an access token', host, problem)
  }
  const { token, access_token: accessToken, expires_in: expiresIn } = parseAnswer(bytes, fail)
  const text = token ?? accessToken
  if (typeof text !== 'string' || !/^[\x21-\x7e]+$/u.test(text)) return fail('sent no token that fits into a header')
  const lifeMs = typeof expiresIn === 'number' && expiresIn > 0 ? Math.min(expiresIn * 1000, maxLifeMs) : defaultLifeMs
  return { text: new Secret(text), expiresAtMs: performance.now() + Math.max(lifeMs - marginMs, lifeMs / 2) }
}

function parseAnswer(bytes: Buffer, fail: (problem: string) => never): ReturnType<typeof parseDocument> {
  try {
    return parseDocument(bytes, 'token')
  } catch (error) {
    // The parser's own message could quote the token.
    if (error instanceof MalformedDocument) return fail('sent something that is not a JSON object')
    throw error
  }
}
