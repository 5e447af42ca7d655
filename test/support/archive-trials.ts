/** What becomes of archives that somebody forged: as layers of a store. */
import { expect, it } from 'vitest'
import type { ArchiveRule, Layer, RootfsView, Store } from '../../storage/index.ts'
import { stream, task } from './streams.ts'

type RefusedArchives = Readonly<Record<string, readonly [rule: ArchiveRule, entry: number, tar: Buffer, parent?: Buffer]>>

export interface ArchiveTrials {
  readonly apply: (tar: Buffer, parent?: Layer) => Promise<Layer>
  readonly view: (tar: Buffer, parent?: Layer) => Promise<RootfsView>
  /** A test for each: it is refused with the rule, at the entry given, counted from 0. */
  readonly refuses: (cases: RefusedArchives) => void
}

/** @param pieceBytes how large the pieces are that an archive comes in */
export function tryArchives(getStore: () => Store, pieceBytes: number): ArchiveTrials {
  const apply = (tar: Buffer, parent?: Layer): Promise<Layer> => getStore().layers.apply(parent?.chainId, stream(tar, pieceBytes), undefined, task)
  return {
    apply,
    view: async (tar, parent) => getStore().layers.view((await apply(tar, parent)).chainId),
    refuses: (cases) => {
      it.each(Object.entries(cases))('refuses %s', async (_, [rule, entry, tar, below]) => {
        const parent = below === undefined ? undefined : await apply(below)
        await expect(apply(tar, parent)).rejects.toMatchObject({ code: 'STORAGE_HOSTILE_ARCHIVE', rule, entry })
      })
    },
  }
}

/** In Latin-1. */
export async function namesIn(tree: RootfsView, path = '/'): Promise<string[]> {
  return (await tree.list(path)).map((name) => name.toString('latin1'))
}

/** In Latin-1. */
export async function contentOf(tree: RootfsView, path: string): Promise<string> {
  return (await tree.readFile(await tree.resolve(path), 1 << 20)).toString('latin1')
}
