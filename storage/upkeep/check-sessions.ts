import { findDeadSessions } from '../root/session.ts'
import type { StoreParts } from '../store-parts.ts'
import type { Finding } from './finding.ts'
import { findStrays } from './garbage.ts'

export function checkSessions({ layout, database, session }: StoreParts, found: (finding: Finding) => void): void {
  database.transaction('quick', () => {
    const dead = findDeadSessions(layout, database, session.id)
    for (const id of dead) found({ check: 'session-dead', object: id })
    for (const path of findStrays(layout, database, dead)) found({ check: 'stray', object: path })
  })
}
