/** One way in which a server wants to be shown who asks. */
export interface Challenge {
  /** In lower case. */
  readonly scheme: string
  /** By lower-case name. */
  readonly parameters: ReadonlyMap<string, string>
}

const maxChallenges = 10
const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/uy
const separator = /[\s,]*/uy
const parameter = /([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/uy

/**
 * Reads WWW-Authenticate, where commas separate challenges as well as the parameters of one. What is behind the first
 * thing that cannot be read is left out. @see RFC 9110, 11.6.1
 */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = []
  let position = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = position
    const match = pattern.exec(header)
    if (match !== null) position = pattern.lastIndex
    return match
  }
  while (challenges.length < maxChallenges) {
    take(separator)
    const scheme = take(token)?.[0]
    if (scheme === undefined) break
    const parameters = new Map<string, string>()
    for (;;) {
      take(separator)
      const match = take(parameter)
      if (match === null) break
      const [, name = '', quoted, bare = ''] = match
      parameters.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/gu, '$1') ?? bare)
    }
    challenges.push({ scheme: scheme.toLowerCase(), parameters })
  }
  return challenges
}
