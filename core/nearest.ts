/**
 * The candidate nearest to what was written, or undefined when none is near enough to be what was meant: one edit for
 * up to four letters, a third of the letters beyond, or the rest of a word begun. Case is no difference.
 */
export function findNearest(written: string, candidates: Iterable<string>): string | undefined {
  if (written.length < 2 || written.length > 64) return undefined
  const folded = written.toLowerCase()
  const limit = Math.max(1, Math.floor(written.length / 3))
  let nearest: string | undefined
  let least = limit + 1
  for (const candidate of candidates) {
    const other = candidate.toLowerCase()
    const isBegun = written.length >= 3 && other.startsWith(folded)
    if (candidate === written || (!isBegun && Math.abs(other.length - written.length) > limit)) continue
    const distance = isBegun ? Math.min(limit, other.length - written.length) : editDistance(folded, other)
    if (distance < least) {
      nearest = candidate
      least = distance
    }
  }
  return nearest
}

/** Damerau's distance: a swap of neighbours counts one, as typing does it. */
function editDistance(one: string, other: string): number {
  let beforePrevious: number[] = []
  let previous = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 1; i <= one.length; i += 1) {
    const current = [i]
    for (let j = 1; j <= other.length; j += 1) {
      const cost = one[i - 1] === other[j - 1] ? 0 : 1
      let best = Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + cost)
      if (i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]) best = Math.min(best, (beforePrevious[j - 2] ?? 0) + 1)
      current.push(best)
    }
    beforePrevious = previous
    previous = current
  }
  return previous[other.length] ?? 0
}
