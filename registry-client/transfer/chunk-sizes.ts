/** How a registry takes blobs, found out by trying. */
export interface ChunkSizes {
  /** How many bytes a request may carry; undefined when the whole blob goes in one request. */
  of(host: string): number | undefined
  /** A proxy in between refused so many bytes. @returns whether smaller pieces can be tried */
  shrink(host: string, refusedBytes: number): boolean
  /** The registry wants no smaller pieces than this. */
  atLeast(host: string, bytes: number): void
  /** How small a piece may be that is not the last. */
  least(host: string): number
  /** The registry cannot put pieces together. @returns whether that is news */
  useWhole(host: string): boolean
}

/** So little is sent in vain when a registry drops what a broken request brought, and so seldom a request more is made. */
export const defaultChunkBytes: number = 64 * 1024 * 1024
const smallestBytes = 256 * 1024

export function createChunkSizes(first: number): ChunkSizes {
  const known = new Map<string, { readonly bytes: number | undefined; readonly atLeast: number }>()
  const state = (host: string): { readonly bytes: number | undefined; readonly atLeast: number } => known.get(host) ?? { bytes: first, atLeast: 0 }
  return {
    of: (host) => {
      const { bytes, atLeast } = state(host)
      return bytes === undefined ? undefined : Math.max(bytes, atLeast)
    },
    shrink: (host, refusedBytes) => {
      const { atLeast } = state(host)
      const bytes = Math.max(atLeast, smallestBytes, 2 ** Math.floor(Math.log2(refusedBytes / 4)))
      if (bytes >= refusedBytes) return false
      known.set(host, { bytes, atLeast })
      return true
    },
    least: (host) => state(host).atLeast,
    atLeast: (host, bytes) => { known.set(host, { ...state(host), atLeast: bytes }) },
    useWhole: (host) => {
      const { bytes, atLeast } = state(host)
      known.set(host, { bytes: undefined, atLeast })
      return bytes !== undefined
    },
  }
}
