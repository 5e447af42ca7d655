import { createReadStream, statSync } from 'node:fs'
import { createTask } from '../../core/task.ts'
import type { CachePlace, Engine } from '../../builder/index.ts'
import { exportCacheMount, findCacheMounts, getCacheMount, importCacheMount, isCalled } from '../../builder/index.ts'
import type { App } from '../app.ts'
import type { CommandSpec, OptionValues } from '../command.ts'
import { UsageError } from '../errors.ts'
import { formatAge, formatBytes, formatTable } from '../render/format.ts'

const verbs = ['ls', 'inspect', 'rm', 'export', 'import'] as const
type Verb = (typeof verbs)[number]

export const cacheCommand: CommandSpec = {
  name: 'cache',
  operands: 'ls | inspect ID | rm ID... | export ID | import ID',
  minOperands: 1,
  maxOperands: Infinity,
  summary: 'Look after the directories that RUN --mount=type=cache keeps. ID is that of the mount, or the name that ls shows',
  options: [
    { name: 'output', short: 'o', value: 'PATH', help: 'export: tar to write, or folder with a slash at its end (default a tar to standard output)' },
    { name: 'push', value: 'NAME', help: 'export: push it to a registry under this name' },
    { name: 'input', short: 'i', value: 'PATH', help: 'import: tar or folder to read (default a tar from standard input)' },
    { name: 'pull', value: 'NAME', help: 'import: pull it from a registry' },
    { name: 'uid', value: 'N', help: 'import: as the mount says it (default 0)' },
    { name: 'gid', value: 'N', help: 'import: as the mount says it (default 0)' },
    { name: 'mode', value: 'OCTAL', help: 'import: as the mount says it (default 0755)' },
    { name: 'namespace', value: 'NAME', help: 'import: BUILDKIT_CACHE_MOUNT_NS of the builds that are to use it' },
    { name: 'all', help: 'rm: every cache mount' },
    { name: 'json', help: 'ls: print JSON' },
  ],
  examples: ['tsbuild cache ls', 'tsbuild cache export --push registry.example/ci/npm-cache:1 /root/.npm', 'tsbuild cache import --pull registry.example/ci/npm-cache:1 /root/.npm'],
  run: async ({ operands: [word = '', ...ids], options }, app) => {
    const verb = verbs.find((known) => known === word)
    if (verb === undefined) throw new UsageError(`unknown operand "${word}": there are ${verbs.join(', ')}`, 'cache')
    const wantsOne = verb === 'inspect' || verb === 'export' || verb === 'import'
    if (wantsOne && ids.length !== 1) throw new UsageError(`"cache ${verb}" needs one ID`, 'cache')
    if (verb === 'rm' && (ids.length === 0) !== options.has('all')) throw new UsageError('"cache rm" needs IDs or --all', 'cache')
    await using engine = await app.openEngine()
    return await runVerb({ verb, ids, options }, engine, app)
  },
}

async function runVerb({ verb, ids, options }: { verb: Verb; ids: readonly string[]; options: OptionValues }, engine: Engine, app: App): Promise<number> {
  const [id = ''] = ids
  const task = createTask(app)
  switch (verb) {
    case 'ls':
      await list(engine, options.has('json'), app)
      return 0
    case 'inspect': {
      const found = await findCacheMounts(engine.store, id, task)
      app.print(JSON.stringify(found, undefined, 2))
      return found.length > 0 ? 0 : 3
    }
    case 'rm': return remove(engine, ids, app)
    case 'export':
      await write(engine, { id, options }, app)
      return 0
    case 'import':
      await importCacheMount(engine, {
        identity: { id, uid: parseNumber(options, 'uid', 10) ?? 0, gid: parseNumber(options, 'gid', 10) ?? 0, mode: parseNumber(options, 'mode', 8) ?? 0o755 },
        namespace: options.text('namespace') ?? '',
        from: openInput(options),
      }, task)
      return 0
  }
}

async function list({ store }: Engine, asJson: boolean, app: App): Promise<void> {
  const mounts = await store.mounts.list(createTask(app))
  if (asJson) {
    app.print(JSON.stringify(mounts))
    return
  }
  const now = Date.now()
  app.print(formatTable([['NAME', 'ID', 'OWNER', 'MODE', 'SIZE', 'INODES', 'LAST USED'], ...mounts.map(({ name, id, uid, gid, mode, diskBytes, inodes, usedAtMs }) => (
    [name, id, `${uid}:${gid}`, mode.toString(8).padStart(4, '0'), formatBytes(diskBytes), String(inodes), formatAge(now - usedAtMs)]
  ))]))
}

async function remove({ store }: Engine, ids: readonly string[], app: App): Promise<number> {
  const task = createTask(app)
  const found = ids.length === 0 ? await store.mounts.list(task) : (await Promise.all(ids.map((id) => findCacheMounts(store, id, task)))).flat()
  const missing = ids.filter((id) => !found.some((mount) => isCalled(mount, id)))
  let exitCode = missing.length === 0 ? 0 : 3
  for (const { name, id } of found) {
    const outcome = await store.mounts.remove(name, task)
    if (outcome === 'in-use') exitCode = 1
    app.print(outcome === 'removed' ? `removed ${id}` : `${id}: ${outcome === 'in-use' ? 'a build uses it' : 'it is gone already'}`)
  }
  for (const id of missing) app.note(`error: there is no cache mount "${id}"`)
  return exitCode
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
  if (path !== undefined && statSync(path).isDirectory()) return { kind: 'folder', path }
  return { kind: 'tar', bytes: (path === undefined ? process.stdin : createReadStream(path)) as AsyncIterable<Uint8Array> }
}

function parseNumber(options: OptionValues, name: string, base: 8 | 10): number | undefined {
  const text = options.text(name)
  if (text === undefined) return undefined
  const isNumber = base === 8 ? /^[0-7]{3,5}$/u.test(text) : /^\d{1,10}$/u.test(text)
  if (!isNumber) throw new UsageError(`option --${name} takes ${base === 8 ? 'an octal mode such as 0755' : 'a number'}, not "${text}"`)
  return Number.parseInt(text, base)
}
