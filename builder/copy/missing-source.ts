import { findNearest } from '../../core/nearest.ts'
import type { RootfsView } from '../../storage/index.ts'
import { CopySourceMissing } from './errors.ts'
import { cleanSource } from './select.ts'

/** A tree of which an ignore file leaves something out. */
interface HidingView extends RootfsView {
  /** The name of that file, when something is there that it leaves out. */
  hiddenBy(path: string): string | undefined
}

/** The error for a source that is not there: it says which ignore file hides it, or else what may have been meant. */
export async function missingSource(view: RootfsView, source: string, origin: string): Promise<CopySourceMissing> {
  const hiddenBy = canHide(view) ? view.hiddenBy(cleanSource(source)) : undefined
  if (hiddenBy !== undefined) return new CopySourceMissing(source, origin, { hiddenBy })
  const meant = await nearestPath(view, cleanSource(source).split('/').filter((name) => name !== ''))
  return new CopySourceMissing(source, origin, meant === undefined ? undefined : { meant })
}

function canHide(view: RootfsView): view is HidingView {
  return 'hiddenBy' in view
}

/** The same path with the first name in it that is wrong put right. */
async function nearestPath(view: RootfsView, names: readonly string[]): Promise<string | undefined> {
  for (const [depth, name] of names.entries()) {
    const folder = await view.resolve(`/${names.slice(0, depth).join('/')}`)
    if ((await view.lstat(folder))?.type !== 'directory') return undefined
    const there = (await view.list(folder)).map(String)
    if (there.includes(name)) continue
    const near = findNearest(name, there)
    return near === undefined ? undefined : [...names.slice(0, depth), near, ...names.slice(depth + 1)].join('/')
  }
  return undefined
}
