import { createTask } from '../../core/task.ts'
import { defaultRoot } from '../../builder/index.ts'
import { formatFamiliar, parseReference } from '../../registry-client/index.ts'
import type { DiskUsage, Size } from '../../storage/index.ts'
import { addSizes, measureUsage, openStore } from '../../storage/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { foreignOptions } from '../foreign-options.ts'
import { formatAge, formatBytes, formatTable, printable, shortId } from '../render/format.ts'

export const dfCommand: CommandSpec = {
  name: 'df',
  operands: '',
  minOperands: 0,
  maxOperands: 0,
  summary: `Show what the store takes, in bytes and inodes, for whom, and what could be freed.
RECLAIMABLE is what goes when all of a kind that no running process uses is removed and all else stays; what images and the
build cache share counts as the images', and goes only with both.`,
  options: [
    { name: 'verbose', short: 'v', help: 'Each image, layer and cache entry: what it shares, and what goes with it' },
    { name: 'json', help: 'Print JSON' },
  ],
  foreignOptions: foreignOptions.df,
  examples: ['tsbuild df', 'tsbuild df -v', 'tsbuild df --json | jq .space'],
  run: showUsage,
}

async function showUsage({ options }: CommandInput, app: App): Promise<number> {
  await using store = await openStore(defaultRoot(app.env), { mayUseReserve: true })
  const usage = await measureUsage(store, createTask(app))
  if (options.has('json')) app.print(JSON.stringify(encodeUsage(store.root, usage)))
  else [summary(usage), '', ...filesystem(store.root, usage), ...(options.has('verbose') ? details(usage) : [])].forEach((line) => { app.print(line) })
  return 0
}

function summary({ images, cache, mounts, underway, garbage, quarantine, reserve, records, own, total, reclaimable }: DiskUsage): string {
  const nothing = { bytes: 0, inodes: 0 }
  const cells = ({ bytes, inodes }: Size): string[] => [formatBytes(bytes), String(inodes)]
  const share = (part: Size): string => `${formatBytes(part.bytes)}, ${part.inodes} inodes`
  return formatTable([
    ['TYPE', 'TOTAL', 'IN USE', 'SIZE', 'INODES', 'RECLAIMABLE'],
    ['Images', String(images.count), String(images.inUse), ...cells(images.size), share(images.reclaimable)],
    ['Build cache', String(cache.count), String(cache.inUse), ...cells(cache.size), share(cache.reclaimable)],
    ['Cache mounts', String(mounts.count), String(mounts.inUse), ...cells(mounts.size), share(mounts.reclaimable)],
    ['Running', '', '', ...cells(underway), share(nothing)],
    ['Unused', '', '', ...cells(garbage), share(garbage)],
    ['Quarantine', '', '', ...cells(quarantine), share(nothing)],
    ['Reserve', '', '', ...cells(reserve), share(nothing)],
    ['Records', '', '', ...cells(addSizes(records.map(({ size }) => size))), share(nothing)],
    ['Database', '', '', ...cells(own), share(nothing)],
    ['All', '', '', ...cells(total), share(reclaimable)],
  ])
}

function filesystem(root: string, { space: { total, free, countsInodes } }: DiskUsage): string[] {
  const percent = (part: number, whole: number): string => `${whole === 0 ? 0 : Math.floor(part / whole * 100)}%`
  return [
    `Filesystem of ${root}: ${formatBytes(free.bytes)} of ${formatBytes(total.bytes)} free (${percent(free.bytes, total.bytes)})`
    + (countsInodes ? `, ${free.inodes} of ${total.inodes} inodes free (${percent(free.inodes, total.inodes)})` : ', inodes are made as they are needed'),
  ]
}

function details({ perImage, perCacheEntry, perMount, perLayer, records }: DiskUsage): string[] {
  const now = Date.now()
  const age = (usedAtMs: number): string => formatAge(now - usedAtMs)
  const sizes = (...all: readonly Size[]): string[] => all.flatMap(({ bytes, inodes }) => [formatBytes(bytes), String(inodes)])
  const columns = ['SIZE', 'INODES', 'SHARED', 'INODES', 'UNIQUE', 'INODES']
  return [
    '', 'Images:',
    formatTable([['IMAGE', 'ID', ...columns, 'LAST USED'], ...perImage.map(({ holder, size, shared, unique }) => [
      holder.names.map((name) => formatFamiliar(parseReference(name))).join(' ') || '<none>', shortId(holder.id), ...sizes(size, shared, unique), holder.isInUse ? 'In use' : age(holder.usedAtMs),
    ])]),
    '', 'Layers:',
    formatTable([['LAYER', 'SIZE', 'INODES', 'IMAGES', 'CACHE ENTRIES', 'IN USE'], ...perLayer.map(({ layer, size, images, cacheEntries, isInUse }) => [
      shortId(layer.chainId), ...sizes(size), String(images), String(cacheEntries), isInUse ? 'yes' : 'no',
    ])]),
    '', 'Build cache:',
    formatTable([['KEY', 'LAYER', ...columns, 'LAST USED'], ...perCacheEntry.map(({ holder, size, shared, unique }) => [
      shortId(holder.key), shortId(holder.tops[0]), ...sizes(size, shared, unique), holder.isInUse ? 'In use' : age(holder.usedAtMs),
    ])]),
    '', 'Cache mounts:',
    formatTable([['MOUNT', 'NAME', 'SIZE', 'INODES', 'LAST USED'], ...perMount.map(({ id, name, size, usedAtMs, isInUse }) => [printable(id), name, ...sizes(size), isInUse ? 'In use' : age(usedAtMs)])]),
    '', 'Records:',
    formatTable([['FOLDER', 'SIZE', 'INODES'], ...records.map(({ folder, size }) => [printable(folder), ...sizes(size)])]),
  ]
}

/** The documented form for monitoring: sizes are `{bytes, inodes}`, times milliseconds since the epoch. */
function encodeUsage(root: string, { perImage, perCacheEntry, perLayer, ...sums }: DiskUsage): unknown {
  return {
    root,
    ...sums,
    perImage: perImage.map(({ holder: { id, names, createdAtMs, usedAtMs, isInUse }, ...sizes }) => ({ id, names, createdAtMs, usedAtMs, isInUse, ...sizes })),
    perCacheEntry: perCacheEntry.map(({ holder: { key, tops: [top], createdAtMs, usedAtMs, isInUse }, ...sizes }) => ({ key, layer: top, createdAtMs, usedAtMs, isInUse, ...sizes })),
    perLayer: perLayer.map(({ layer: { chainId, diffId, parent }, ...rest }) => ({ chainId, diffId, parent, ...rest })),
  }
}
