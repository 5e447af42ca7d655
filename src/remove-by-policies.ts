import { constants, setPriority } from 'node:os'
import { createTask } from '../core/task.ts'
import { defaultRoot } from '../builder/index.ts'
import { formatFamiliar, parseReference } from '../registry-client/index.ts'
import type { GcReport, PrunePolicy, UnmetBudget } from '../storage/index.ts'
import { gc, openStore } from '../storage/index.ts'
import type { App } from './app.ts'
import type { CommandInput, OptionSpec } from './command.ts'
import { formatAge, formatBytes, shortId } from './render/format.ts'

export const outputOptions: readonly OptionSpec[] = [
  { name: 'dry-run', help: 'Only say what would be freed, to the byte and inode' },
  { name: 'quiet', short: 'q', help: 'Print nothing but problems' },
  { name: 'json', help: 'Print JSON' },
]

/** What gc and prune have in common. Works on a full disk, too. */
export async function removeByPolicies(policies: readonly PrunePolicy[], { options }: CommandInput, app: App): Promise<number> {
  const dryRun = options.has('dry-run')
  // Builds go first.
  setPriority(constants.priority.PRIORITY_LOW)
  await using store = await openStore(defaultRoot(app.env), { mayUseReserve: true })
  const report = await gc(store, createTask(app), { dryRun, policies })
  if (options.has('json')) app.print(JSON.stringify({ dryRun, ...report }))
  else if (!options.has('quiet')) describe(report, dryRun).forEach((line) => { app.print(line) })
  for (const unmet of report.unmet) app.note(describeUnmet(unmet, dryRun))
  return report.unmet.length === 0 ? 0 : 1
}

function describe({ removed, layers, blobs, bytes, inodes }: GcReport, dryRun: boolean): string[] {
  const now = Date.now()
  const images = removed.filter(({ kind }) => kind === 'image')
  const cacheEntries = removed.filter(({ kind }) => kind === 'cache').length
  const mounts = removed.filter(({ kind }) => kind === 'mount')
  const verb = dryRun ? 'Would delete' : 'Deleted'
  return [
    ...images.map(({ id, names, usedAtMs }) => `${verb}: ${[shortId(id), ...names.map((name) => formatFamiliar(parseReference(name)))].join(' ')}, last used ${formatAge(now - usedAtMs).toLowerCase()}`),
    ...(cacheEntries === 0 ? [] : [`${verb}: ${cacheEntries} cache ${cacheEntries === 1 ? 'entry' : 'entries'}`]),
    ...mounts.map(({ id, usedAtMs }) => `${verb}: cache mount ${id}, last used ${formatAge(now - usedAtMs).toLowerCase()}`),
    `${dryRun ? 'Would free' : 'Freed'} ${formatBytes(bytes)} and ${inodes} inodes: ${layers} layers, ${blobs} blobs`,
  ]
}

const budgetWords: Readonly<Record<UnmetBudget['budget'], string>> = {
  maxBytes: 'bytes in the store', maxInodes: 'inodes in the store', minFreeBytes: 'free bytes', minFreeInodes: 'free inodes',
}

function describeUnmet({ budget, wanted, reached }: UnmetBudget, dryRun: boolean): string {
  return `warning: ${dryRun ? 'would leave' : 'left'} ${reached} ${budgetWords[budget]}, wanted ${wanted}: nothing more can be removed of what the policy chooses and no running process uses`
}
