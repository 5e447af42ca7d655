/** Hands our terminal to a container for as long as the work takes, keys and all. */
export async function withRawTerminal<T>(isWanted: boolean, work: () => Promise<T>): Promise<T> {
  if (!isWanted) return work()
  process.stdin.setRawMode(true)
  try {
    return await work()
  } finally {
    process.stdin.setRawMode(false)
    process.stdin.unref()
  }
}
