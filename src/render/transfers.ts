import type { TransferEvent } from '../../registry-client/index.ts'
import type { App } from '../app.ts'
import { formatBytes, shortId } from './format.ts'

const words: Readonly<Record<Exclude<TransferEvent['outcome'], 'running'>, string>> = {
  transferred: 'done',
  present: 'already there',
  mounted: 'mounted from another repository',
}

/** A line for each blob that is settled. */
export function renderTransfers(app: App, isQuiet: boolean): (event: TransferEvent) => void {
  return ({ digest, outcome, totalBytes, direction }) => {
    if (isQuiet || outcome === 'running') return
    app.note(`${shortId(digest)}: ${direction === 'pull' ? 'pull' : 'push'} ${words[outcome]} (${formatBytes(totalBytes)})`)
  }
}
