import { createReadStream, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { writeBusyboxRootfs } from '../../scripts/busybox-rootfs.ts'
import { importRootfs } from '../../builder/archive/import.ts'
import type { BuildEvent, BuildRequest, ContextFiles, Engine } from '../../builder/index.ts'
import { build, findImage, openEngine } from '../../builder/index.ts'
import { openImage } from '../../builder/transfer/portable-image.ts'
import type { ImageConfig, RunConfig } from '../../oci/image-config.ts'
import { hostPlatform } from '../../oci/platform.ts'
import type { RootfsView } from '../../storage/index.ts'
import { expectClean } from './stores.ts'
import { listTar } from './list-tar.ts'
import { collect, task } from './streams.ts'

export interface Built {
  readonly id: string
  readonly config: RunConfig
  readonly image: ImageConfig
  /** `created_by` of what this build made, an asterisk before those with a layer. */
  readonly history: readonly string[]
  readonly view: RootfsView
  /** `file 644 0:0 text`, `symlink -> target`, `directory 755 0:0`; undefined for nothing. */
  readonly at: (path: string) => Promise<string | undefined>
  readonly list: (path: string) => Promise<string[]>
  /** What steps wrote. */
  readonly said: string
  /** The outcome of each step, by its source. */
  readonly outcomes: Readonly<Record<string, string>>
  readonly warnings: readonly string[]
  /** What stands in the tar of a layer, counted from the top. */
  readonly changes: (fromTop: number) => Promise<string[]>
}

export interface Given extends Omit<BuildRequest, 'context' | 'dockerfile'> {
  readonly files?: ContextFiles
  /** A folder instead. */
  readonly context?: string
}

export interface TrapBuilds {
  readonly folder: string
  /** Lines stand behind `FROM busybox` unless one of them is a FROM of their own. */
  readonly build: (lines: string, given?: Given) => Promise<Built>
  /** @returns what the error and its causes say */
  readonly refusal: (lines: string, given?: Given) => Promise<string>
}

const rootfs = join(tmpdir(), 'tsbuild-e2e-busybox.tar')
const small = 1024 * 1024

/** Real builds in this process, in a store of the test file's own that must be clean afterwards. */
export function useTrapBuilds(name: string): TrapBuilds {
  const folder = mkdtempSync(join(tmpdir(), `tsbuild-traps-${name}-`))
  const root = join(folder, 'store')
  let engine: Engine
  beforeAll(async () => {
    engine = await openEngine({ root, env: { ...process.env, CONTAINERS_REGISTRIES_CONF: '/dev/null', DOCKER_CONFIG: folder } })
    if (!existsSync(rootfs)) writeBusyboxRootfs(rootfs)
    await importRootfs(engine, { tar: createReadStream(rootfs) as AsyncIterable<Uint8Array>, name: 'busybox', changes: ['CMD ["sh"]'], platform: hostPlatform(process.arch), message: undefined }, task)
  })
  afterAll(async () => {
    await engine[Symbol.asyncDispose]()
    await expectClean(root)
    rmSync(folder, { recursive: true, force: true })
  })
  const start = async (lines: string, { files = {}, context, ...request }: Given): Promise<Built> => {
    const seen: BuildEvent[] = []
    const text = /^(?:#.*\n|ARG .*\n|\s)*FROM /iu.test(lines) ? lines : `FROM busybox\n${lines}`
    const result = await build({ network: 'none', ...request, context: context ?? files, dockerfile: { text: `${text}\n` } }, { engine, onEvent: (event) => { seen.push(event) } })
    return describe(engine, result.id, seen)
  }
  return {
    folder,
    build: (lines, given = {}) => start(lines, given),
    refusal: async (lines, given = {}) => {
      const ended = await start(lines, given).then(() => undefined, (error: unknown) => error)
      if (ended === undefined) throw new Error('the build was not refused')
      return messagesOf(ended)
    },
  }
}

function messagesOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const remedy = 'remedy' in error && typeof error.remedy === 'string' ? error.remedy : ''
  const notExecuted = 'notExecuted' in error ? JSON.stringify(error.notExecuted) : ''
  return `${error.message}\n${remedy}\n${notExecuted}${error.cause === undefined ? '' : messagesOf(error.cause)}`
}

async function describe({ store }: Engine, id: string, seen: readonly BuildEvent[]): Promise<Built> {
  const { config, chain } = await openImage(store, findImage(store, id))
  const view = store.layers.view(chain.at(-1))
  const labels = new Map(seen.flatMap((event) => event.type === 'build-planned' ? event.steps.map(({ node, label }) => [node as string, label.source] as const) : []))
  return {
    id, view, image: config, config: config.config ?? {},
    history: (config.history ?? []).filter(({ created_by: by }) => by !== 'IMPORT').map(({ created_by: by = '', empty_layer: isEmpty = false }) => `${isEmpty ? ' ' : '*'} ${by}`),
    at: (path) => show(view, path),
    list: async (path) => (await view.list(path)).map((entry) => entry.toString()),
    said: Buffer.concat(seen.flatMap((event) => event.type === 'node-output' ? Buffer.from(event.bytes) : [])).toString(),
    outcomes: Object.fromEntries(seen.flatMap((event) => event.type === 'node-finished' ? [[labels.get(event.node) ?? event.node, event.outcome]] : [])),
    warnings: seen.flatMap((event) => event.type === 'warning-raised' ? event.rule : []),
    changes: async (fromTop) => {
      const chainId = chain.at(-1 - fromTop)
      if (chainId === undefined) throw new Error('there is no such layer')
      return (await listTar(await collect(store.layers.changeset(chainId, task)))).map((entry) => entry.name)
    },
  }
}

async function show(view: RootfsView, path: string): Promise<string | undefined> {
  const entry = await view.lstat(path)
  if (entry === undefined) return undefined
  const { type, mode, uid, gid, target, major, minor } = entry
  if (type === 'symlink') return `symlink -> ${target?.toString() ?? ''}`
  const facts = `${type} ${mode.toString(8)} ${uid}:${gid}`
  if (type === 'file') return `${facts} ${(await view.readFile(path, small)).toString()}`.trimEnd()
  return type === 'char' || type === 'block' ? `${facts} ${major}:${minor}` : facts
}
