/** A piece of a line that looks like a secret, half-open. */
export interface SecretFound {
  /** As a message calls it: `a GitHub token`. */
  readonly kind: string
  readonly start: number
  readonly end: number
}

/** Forms that their issuers chose to be recognised, so that a match is hardly ever an accident. */
const forms: readonly (readonly [kind: string, pattern: RegExp])[] = [
  ['a private key', /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----/gu],
  ['an AWS access key', /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/gu],
  ['a GitHub token', /\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{50,255})\b/gu],
  ['a GitLab token', /\bglpat-[\w-]{20,64}/gu],
  ['a Slack token', /\bxox[abeprs]-[A-Za-z0-9-]{10,255}/gu],
  ['a Stripe key', /\b[rs]k_live_[A-Za-z0-9]{20,255}\b/gu],
  ['an npm token', /\bnpm_[A-Za-z0-9]{36}\b/gu],
  ['a PyPI token', /\bpypi-AgEI[\w-]{50,255}/gu],
  ['a Docker Hub token', /\bdckr_(?:pat|oat)_[\w-]{20,64}/gu],
  ['a Google API key', /\bAIza[\w-]{35}\b/gu],
  ['a JSON web token', /\beyJ[\w-]{10,1024}\.eyJ[\w-]{10,2048}\.[\w-]{10,1024}/gu],
  ['a password in a URL', /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/:@'"$]{1,64}:[^\s/@'"$]{3,128}@/gu],
]

/** The secrets in one line. A value that comes from a variable is not in the file and so is none. */
export function findSecrets(line: string): SecretFound[] {
  if (line.length < 16) return []
  return forms.flatMap(([kind, pattern]) => [...line.matchAll(pattern)].map(({ index, 0: text }) => ({ kind, start: index, end: index + text.length })))
}
