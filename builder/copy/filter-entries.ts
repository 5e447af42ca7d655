import type { MatchState, PatternMatcher } from '../context/pattern-matcher.ts'
import { rootState } from '../context/pattern-matcher.ts'
import type { WalkedEntry } from './walk.ts'

/**
 * The entries that a matcher leaves, in their order: `keep` what matches, or what does not. The directories on the way to
 * what stays stay too. The root itself, an empty path, always stays.
 */
export function filterEntries(entries: readonly WalkedEntry[], matcher: PatternMatcher, keep: 'matching' | 'others'): WalkedEntry[] {
  const kept: WalkedEntry[] = []
  const states = new Map<string, MatchState>()
  /** Directories that do not stay for their own sake, from the outermost to where the walk is. */
  let pending: WalkedEntry[] = []
  for (const walked of entries) {
    if (walked.relative.length === 0) {
      kept.push(walked)
      continue
    }
    const path = walked.relative.toString()
    const { isMatch, state } = matcher.match(path, states.get(parentOf(path)) ?? rootState)
    states.set(path, state)
    pending = pending.filter(({ relative }) => path.startsWith(`${relative.toString()}/`))
    if (isMatch !== (keep === 'matching')) {
      if (walked.entry.type === 'directory') pending.push(walked)
      continue
    }
    kept.push(...pending, walked)
    pending = []
  }
  return kept
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0))
}
