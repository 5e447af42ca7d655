import type { Task } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { BlobSource } from '../client.ts'

/**
 * Gives a blob's bytes piece by piece, reading its source once as long as each piece begins where the last one ended.
 * A piece that begins elsewhere, after a cut, makes it read from the start.
 */
export interface SourceReader extends AsyncDisposable {
  piece(offset: number, length: number): AsyncIterable<Uint8Array>
}

export function createSourceReader(source: BlobSource, blob: Descriptor, task: Task): SourceReader {
  let chunks: AsyncIterator<Uint8Array> | undefined
  let position = 0
  let isReading = false
  /** What was read and not given yet; it begins at `position`. */
  let rest: Uint8Array = new Uint8Array()

  const close = async (): Promise<void> => {
    const open = chunks
    chunks = undefined
    const closed = open?.return?.()
    // A source that somebody waits for ends when it has given what it is asked for; how it fails then is told to them.
    if (isReading) closed?.catch(() => undefined)
    else await closed
  }
  const goTo = async (offset: number): Promise<void> => {
    if (chunks !== undefined && position === offset) return
    await close()
    chunks = source.read(blob, task)[Symbol.asyncIterator]()
    position = 0
    rest = new Uint8Array()
    while (position < offset && await fill()) take(offset - position)
  }
  const fill = async (): Promise<boolean> => {
    if (rest.byteLength > 0) return true
    isReading = true
    const next = await chunks?.next().finally(() => { isReading = false })
    if (next === undefined || next.done === true) return false
    rest = next.value
    return true
  }
  const take = (atMost: number): Uint8Array => {
    const taken = rest.subarray(0, atMost)
    rest = rest.subarray(taken.byteLength)
    position += taken.byteLength
    return taken
  }
  return {
    async *piece(offset, length) {
      await goTo(offset)
      const end = offset + length
      while (position < end && await fill()) yield take(end - position)
      // The source's own check of what it gave is at its end, and a source that goes on is found out there.
      if (end === blob.size && await fill()) yield rest
    },
    [Symbol.asyncDispose]: close,
  }
}
