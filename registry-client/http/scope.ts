export type Action = 'pull' | 'push' | 'delete'

const wellFormedScope = /^[a-z]+(?:\([a-z]+\))?:[^\s:]+(?::[0-9]+)?[^\s:]*:[a-z*]+(?:,[a-z*]+)*$/u
const maxScopes = 8

/** What a token is to allow. @see distribution, "Token Scope Documentation" */
export function repositoryScope(repository: string, ...actions: readonly Action[]): string {
  return `repository:${repository}:${actions.join(',')}`
}

/** The scopes of a challenge; those that cannot be read are left out. */
export function parseScopes(text: string | undefined): string[] {
  return (text ?? '').split(' ').filter((scope) => wellFormedScope.test(scope)).slice(0, maxScopes)
}

/** The union, with one entry for each resource, always in the same order: equal wishes are equal lists. */
export function mergeScopes(...lists: readonly (readonly string[])[]): string[] {
  const actions = new Map<string, Set<string>>()
  for (const scope of lists.flat()) {
    const colon = scope.lastIndexOf(':')
    const resource = scope.slice(0, colon)
    const known = actions.get(resource) ?? new Set()
    actions.set(resource, new Set([...known, ...scope.slice(colon + 1).split(',')]))
  }
  return [...actions].map(([resource, names]) => `${resource}:${[...names].sort().join(',')}`).sort()
}
