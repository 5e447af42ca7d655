import { createReadStream, statSync } from 'node:fs'
import { createTask } from '../../core/task.ts'
import type { CachePlace, Engine, ImportedCacheMount } from '../../builder/index.ts'
import { exportCacheMount, findCacheMounts, getCacheMount, importCacheMount, shownId } from '../../builder/index.ts'
import type { App } from '../app.ts'
import type { CommandSpec, OptionValues } from '../command.ts'
import { UsageError } from '../errors.ts'
import { chosenForm, formatOption } from '../listing-options.ts'
import { formatAge, formatBytes } from '../render/format.ts'
import type { ListingRow } from '../render/template.ts'
import { formatListing } from '../render/template.ts'

/** What each verb takes: its options, and how many IDs. */
const verbs = {
  ls: { options: ['json', 'quiet', 'format'], ids: 'no ID; "cache inspect ID" shows one' },
  inspect: { options: [], ids: 'IDs' },
  rm: { options: ['all'], ids: 'IDs or --all' },
  export: { options: ['output', 'push'], ids: 'one ID; --output names a file or folder, --push a registry' },
  import: { options: ['input', 'pull', 'uid', 'gid', 'mode', 'namespace'], ids: 'one ID; --input names a file or folder, --pull a registry' },
} as const satisfies Readonly<Record<string, { readonly options: readonly string[]; readonly ids: string }>>
type Verb = keyof typeof verbs

const headings: ListingRow = { Name: 'NAME', ID: 'ID', Owner: 'OWNER', Mode: 'MODE', Size: 'SIZE', Inodes: 'INODES', LastUsed: 'LAST USED' }
const tableFormat = `table ${Object.keys(headings).map((field) => `{{.${field}}}`).join('\t')}`

export const cacheCommand: CommandSpec = {
  name: 'cache',
  operands: 'ls | inspect ID... | rm ID... | export ID | import ID',
  minOperands: 1,
  maxOperands: Infinity,
  summary: 'Look after the directories that RUN --mount=type=cache keeps. ID is that of the mount, or the name that ls shows',
  options: [
    { name: 'output', short: 'o', value: 'PATH', help: 'export: tar to write, or folder with a slash at its end (default a tar to standard output)' },
    { name: 'push', value: 'NAME', help: 'export: push it to a registry under this name' },
    { name: 'input', short: 'i', value: 'PATH', help: 'import: tar or folder to read (default a tar from standard input)' },
    { name: 'pull', value: 'NAME', help: 'import: pull it from a registry' },
    { name: 'uid', value: 'N', help: 'import: as the mount says it (default as it was when it was pushed, else 0)' },
    { name: 'gid', value: 'N', help: 'import: as the mount says it (default likewise)' },
    { name: 'mode', value: 'OCTAL', help: 'import: as the mount says it (default likewise, else 0755)' },
    { name: 'namespace', value: 'NAME', help: 'import: BUILDKIT_CACHE_MOUNT_NS of the builds that are to use it' },
    { name: 'all', help: 'rm: every cache mount' },
    { name: 'quiet', short: 'q', help: 'ls: print names only' },
    formatOption(headings),
    { name: 'json', help: 'ls: print JSON' },
  ],
  examples: ['tsbuild cache ls', 'tsbuild cache export --push registry.example/ci/npm-cache:1 /root/.npm', 'tsbuild cache import --pull registry.example/ci/npm-cache:1 /root/.npm'],
  run: async ({ operands: [word = '', ...ids], options }, app) => {
    const verb = parseVerb(word)
    const fits = verb === 'ls' ? ids.length === 0 : verb === 'rm' ? (ids.length === 0) === options.has('all') : verb === 'inspect' ? ids.length > 0 : ids.length === 1
    if (!fits) throw new UsageError(`"cache ${verb}" takes ${verbs[verb].ids}`, 'cache')
    for (const { name } of cacheCommand.options) if (options.has(name) && !new Set<string>(verbs[verb].options).has(name)) throw new UsageError(`"cache ${verb}" does not know --${name}`, 'cache')
    await using engine = await app.openEngine()
    return await runVerb({ verb, ids, options }, engine, app)
  },
}

function parseVerb(word: string): Verb {
  const names = Object.keys(verbs) as Verb[]
  const verb = names.find((known) => known === word)
  if (verb === undefined) throw new UsageError(`unknown operand "${word}": there are ${names.join(', ')}`, 'cache')
  return verb
}

async function runVerb({ verb, ids, options }: { verb: Verb; ids: readonly string[]; options: OptionValues }, engine: Engine, app: App): Promise<number> {
  const [id = ''] = ids
  const task = createTask(app)
  switch (verb) {
    case 'ls':
      await list(engine, options, app)
      return 0
    case 'inspect': {
      const found = await Promise.all(ids.map((each) => findCacheMounts(engine.store, each, task)))
      app.print(JSON.stringify(found.flat().map(withShownId), undefined, 2))
      for (const [index, mounts] of found.entries()) if (mounts.length === 0) app.note(noMount(ids[index] ?? ''))
      return found.every((mounts) => mounts.length > 0) ? 0 : 3
    }
    case 'rm': return remove(engine, ids, app)
    case 'export':
      await write(engine, { id, options }, app)
      return 0
    case 'import': {
      const said = Object.entries({ uid: parseNumber(options, 'uid', 10), gid: parseNumber(options, 'gid', 10), mode: parseNumber(options, 'mode', 8) }).filter(([, value]) => value !== undefined)
      const imported = await importCacheMount(engine, { identity: { id, ...Object.fromEntries(said) }, namespace: options.text('namespace') ?? '', from: openInput(options) }, task)
      for (const line of describeImport(id, imported)) app.note(line)
      return 0
    }
  }
}

/** Builds find a cache mount by what they say of it. */
function describeImport(id: string, { uid, gid, mode, owner }: ImportedCacheMount): string[] {
  const words = (said: { readonly uid: number; readonly gid: number; readonly mode: number }): string[] => [`uid=${said.uid}`, `gid=${said.gid}`, `mode=${octal(said.mode)}`]
  const usual = ['uid=0', 'gid=0', 'mode=0755']
  const used = words({ uid, gid, mode }).filter((word) => !usual.includes(word))
  const there = words(owner)
  const others = there.filter((word) => !words({ uid, gid, mode }).includes(word))
  return [
    `builds find it by --mount=type=cache,${['id=' + id, ...used].join(',')}`,
    ...(others.length === 0 ? [] : [`warning: its own owner and mode are ${there.join(',')}; a mount that says so is another one: for that, remove this one and import with ${others.map((word) => `--${word.replace('=', ' ')}`).join(' ')}`]),
  ]
}

async function list({ store }: Engine, options: OptionValues, app: App): Promise<void> {
  const form = chosenForm(options)
  const mounts = await store.mounts.list(createTask(app))
  if (form === 'json') {
    app.print(JSON.stringify(mounts.map(withShownId)))
    return
  }
  const now = Date.now()
  const rows = mounts.map((mount): ListingRow => ({
    Name: mount.name, ID: shownId(mount), Owner: `${mount.owner.uid}:${mount.owner.gid}`, Mode: octal(mount.mode), Size: formatBytes(mount.diskBytes), Inodes: String(mount.inodes), LastUsed: formatAge(now - mount.usedAtMs),
  }))
  for (const line of formatListing(form === 'quiet' ? '{{.Name}}' : options.text('format') ?? tableFormat, rows, headings)) app.print(line)
}

function withShownId<Mount extends { readonly id: string }>(mount: Mount): Mount {
  return { ...mount, id: shownId(mount) }
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}

async function remove({ store }: Engine, ids: readonly string[], app: App): Promise<number> {
  const task = createTask(app)
  const named = await Promise.all(ids.map(async (id) => ({ id, mounts: await findCacheMounts(store, id, task) })))
  const found = ids.length === 0 ? await store.mounts.list(task) : named.flatMap(({ mounts }) => mounts)
  const missing = named.flatMap(({ id, mounts }) => mounts.length === 0 ? id : [])
  let exitCode = missing.length === 0 ? 0 : 3
  for (const mount of found) {
    const id = shownId(mount)
    const outcome = await store.mounts.remove(mount.name, task)
    if (outcome === 'in-use') exitCode = 1
    app.print(outcome === 'removed' ? `removed ${id}` : `${id}: ${outcome === 'in-use' ? 'a build uses it' : 'it is gone already'}`)
  }
  for (const id of missing) app.note(noMount(id))
  return exitCode
}

function noMount(id: string): string {
  return `error: there is no cache mount "${id}"; "tsbuild cache ls" lists them`
}

async function write(engine: Engine, { id, options }: { id: string; options: OptionValues }, app: App): Promise<void> {
  const task = createTask(app)
  const mount = await getCacheMount(engine.store, id, task)
  const name = options.text('push')
  const path = options.text('output')
  if (name !== undefined && path !== undefined) throw new UsageError('give --push or --output, not both')
  if (name !== undefined) return exportCacheMount(engine, { mount, to: { kind: 'registry', name } }, task)
  if (path?.endsWith('/') === true) return exportCacheMount(engine, { mount, to: { kind: 'folder', path } }, task)
  if (path !== undefined) return exportCacheMount(engine, { mount, to: { kind: 'file', path } }, task)
  if (process.stdout.isTTY) throw new UsageError('an archive is not for a terminal: give --output, or redirect standard output')
  return exportCacheMount(engine, { mount, to: { kind: 'stream', stream: process.stdout } }, task)
}

function openInput(options: OptionValues): CachePlace {
  const name = options.text('pull')
  const path = options.text('input')
  if (name !== undefined && path !== undefined) throw new UsageError('give --pull or --input, not both')
  if (name !== undefined) return { kind: 'registry', name }
  if (path === undefined && process.stdin.isTTY) throw new UsageError('an archive does not come from a terminal: give --input or --pull, or redirect standard input')
  const there = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false })
  if (path !== undefined && there === undefined) throw new UsageError(`option --input names "${path}", and there is no such file or folder`)
  if (path !== undefined && there?.isDirectory() === true) return { kind: 'folder', path }
  return { kind: 'tar', bytes: (path === undefined ? process.stdin : createReadStream(path)) as AsyncIterable<Uint8Array> }
}

function parseNumber(options: OptionValues, name: string, base: 8 | 10): number | undefined {
  const text = options.text(name)
  if (text === undefined) return undefined
  const isNumber = base === 8 ? /^[0-7]{3,5}$/u.test(text) : /^\d{1,10}$/u.test(text)
  if (!isNumber) throw new UsageError(`option --${name} takes ${base === 8 ? 'an octal mode such as 0755' : 'a number'}, not "${text}"`)
  return Number.parseInt(text, base)
}
