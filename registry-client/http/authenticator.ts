import type { Task } from '../../core/task.ts'
import type { Credential } from '../config/credential-file.ts'
import { AccessDenied, ForbiddenTarget } from '../errors.ts'
import type { Challenge } from './challenge.ts'
import { parseChallenges } from './challenge.ts'
import type { Limits } from './limits.ts'
import type { Sender, Transport, Trust } from './message.ts'
import { followPointer } from './pointer.ts'
import type { Pacing } from './retry.ts'
import { persist } from './retry.ts'
import { mergeScopes, parseScopes } from './scope.ts'
import { createShared } from './shared.ts'
import type { Token, TokenRequest } from './token.ts'
import { basicAuthorization, requestToken, secretsOf } from './token.ts'

export interface AuthenticatorOptions {
  /** What the registry is called in messages. */
  readonly host: string
  readonly transport: Transport
  readonly limits: Limits
  readonly pacing: Pacing
  /** Asked at most once, when the registry wants to know who we are. */
  readonly findCredential: (task: Task) => Promise<Credential | undefined>
  /** How far where an address leads is to be trusted. */
  readonly trustOf: (url: URL) => Trust
}

/** A 401 answer: its header, the address it came from, and what was sent to get it. */
export interface Refused {
  readonly header: string | undefined
  readonly url: URL
  readonly sentBy: Omit<Sender, 'kind'>
  readonly sent: string | undefined
}

/** The Authorization headers for one registry. They are made for its origin and of no use to, and never sent to, another. */
export interface Authenticator {
  /** The header for a request, as far as one is known to be wanted. */
  prepare(scopes: readonly string[], task: Task): Promise<string | undefined>
  /** The header to try after a 401. @throws {AccessDenied} when there is no other than the one refused */
  answer(refused: Refused, call: { readonly what: string; readonly scopes: readonly string[] }, task: Task): Promise<string>
  /** Whether any credentials were found for the registry. */
  hasCredentials(): boolean
  /** Texts that must not show in messages. */
  secrets(): readonly string[]
}

type Scheme =
  | { readonly kind: 'basic' }
  | { readonly kind: 'bearer'; readonly realm: URL; readonly service: string | undefined; readonly sentBy: Sender | undefined }

interface Grant { readonly scopes: readonly string[]; token: Token | undefined }

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { host, transport, limits, pacing } = options
  const shareToken = createShared<Token>()
  const shareCredential = createShared<Credential | undefined>()
  /** By the scopes a call asks for; those granted may be more, where the registry wanted more. */
  const grants = new Map<string, Grant>()
  const secrets = new Set<string>()
  let scheme: Scheme | undefined
  let found: { readonly credential: Credential | undefined } | undefined

  const credential = async (task: Task): Promise<Credential | undefined> => {
    found ??= { credential: await shareCredential('', () => options.findCredential(task), task.signal) }
    for (const secret of secretsOf(found.credential)) secrets.add(secret)
    return found.credential
  }

  const bearer = async (grant: Grant, { realm, service, sentBy }: Extract<Scheme, { kind: 'bearer' }>, task: Task): Promise<string> => {
    const shown = await credential(task)
    if (shown?.kind === 'registry-token') return `Bearer ${shown.token.reveal()}`
    if (grant.token === undefined || grant.token.expiresAtMs < performance.now()) {
      const request: TokenRequest = { registry: host, realm, service, scopes: grant.scopes, credential: shown, sentBy, trust: options.trustOf(realm) }
      const fetchToken = (): Promise<Token> => persist(() => requestToken(request, transport, { limits, signal: task.signal }), { origin: realm.origin, attempts: limits.attempts, limits, pacing }, task.signal)
      grant.token = await shareToken([realm.href, service, ...grant.scopes].join(' '), fetchToken, task.signal)
    }
    const text = grant.token.text.reveal()
    secrets.add(text)
    return `Bearer ${text}`
  }

  const basic = async (what: string, task: Task): Promise<string> => {
    const shown = await credential(task)
    if (shown?.kind === 'password') return basicAuthorization(shown)
    throw new AccessDenied(what, host, { hasCredentials: shown !== undefined, text: 'wants a username and password' })
  }

  return {
    prepare: async (scopes, task) => {
      if (scheme === undefined) return undefined
      return scheme.kind === 'basic' ? basic('log in', task) : bearer(grantFor(grants, scopes), scheme, task)
    },
    answer: async (refused, { what, scopes }, task) => {
      const challenges = parseChallenges(refused.header ?? '')
      const wanted = challenges.find((each) => each.scheme === 'bearer' && each.parameters.has('realm')) ?? challenges.find((each) => each.scheme === 'basic')
      if (wanted === undefined) throw new AccessDenied(what, host, { hasCredentials: found?.credential !== undefined, text: 'answered 401 and asks for neither token nor password' })
      scheme = wanted.scheme === 'basic' ? { kind: 'basic' } : bearerScheme(wanted, refused, options)
      const header = scheme.kind === 'basic'
        ? await basic(what, task)
        : await bearer(renewGrant(grants, { scopes, wanted, sent: refused.sent }), scheme, task)
      if (header === refused.sent) throw new AccessDenied(what, host, { hasCredentials: found?.credential !== undefined, text: 'answered 401' })
      return header
    },
    hasCredentials: () => found?.credential !== undefined,
    secrets: () => [...secrets],
  }
}

function grantFor(grants: Map<string, Grant>, scopes: readonly string[]): Grant {
  const key = mergeScopes(scopes).join(' ')
  const grant = grants.get(key) ?? { scopes: mergeScopes(scopes), token: undefined }
  grants.set(key, grant)
  return grant
}

/** A grant whose token is not the one that was refused, for what the call and the registry say is needed. */
function renewGrant(grants: Map<string, Grant>, { scopes, wanted, sent }: { scopes: readonly string[]; wanted: Challenge; sent: string | undefined }): Grant {
  const known = grantFor(grants, scopes)
  if (known.token !== undefined && sent !== `Bearer ${known.token.text.reveal()}`) return known
  const renewed: Grant = { scopes: mergeScopes(scopes, parseScopes(wanted.parameters.get('scope'))), token: undefined }
  grants.set(mergeScopes(scopes).join(' '), renewed)
  return renewed
}

/**
 * The token service the registry names gets the registry's credentials, so it is contacted at least as safely: with TLS
 * if the registry has it, checked unless the configuration says otherwise of this very host.
 */
function bearerScheme(wanted: Challenge, refused: Refused, { trustOf }: AuthenticatorOptions): Scheme {
  const sentBy: Sender = { ...refused.sentBy, kind: 'token realm' }
  const realm = followPointer({ text: wanted.parameters.get('realm') ?? '', from: refused.url, sentBy })
  const isOwn = realm.origin === refused.url.origin
  if (realm.protocol === 'http:' && !isOwn && trustOf(realm) === 'checked') {
    throw new ForbiddenTarget('token realm', sentBy.host, { target: realm.origin, text: `it has no TLS; to allow that, put this into registries.conf: [[registry]] location = "${realm.host}" insecure = true` })
  }
  return { kind: 'bearer', realm, service: wanted.parameters.get('service'), sentBy: isOwn ? undefined : sentBy }
}
